#include <string.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"
#include "moot/merkle.h"
#include "protocol/digest/merkle_internal.h"

enum { TREE_VERSION = 1, FANOUT = MOOT_MERKLE_FANOUT };

/* Widths from the leaves up; returns the levels. */
static uint32_t find_widths(uint32_t leaves, uint32_t widths[MOOT_MERKLE_LEVELS_MAX])
{
    uint32_t levels = 0;
    for (uint32_t width = leaves;; width = (width + FANOUT - 1) / FANOUT) {
        MOOT_ASSERT(levels < MOOT_MERKLE_LEVELS_MAX);
        widths[levels++] = width;
        if (width == 1) {
            return levels;
        }
    }
}

size_t moot_merkle_size(uint32_t leaves)
{
    MOOT_ASSERT(leaves >= 1);
    MOOT_ASSERT(leaves <= MOOT_MERKLE_LEAVES_MAX);
    uint32_t widths[MOOT_MERKLE_LEVELS_MAX];
    uint32_t levels = find_widths(leaves, widths);
    size_t nodes = 0;
    for (uint32_t level = 0; level < levels; level++) {
        nodes += widths[level];
    }
    return nodes * sizeof(uint64_t);
}

void moot_merkle_init(struct moot_merkle *tree, void *memory, uint32_t leaves)
{
    MOOT_ASSERT((uintptr_t)memory % 8 == 0);
    memset(memory, 0, moot_merkle_size(leaves));
    uint32_t widths[MOOT_MERKLE_LEVELS_MAX];
    *tree = (struct moot_merkle){.digests = memory, .leaves = leaves};
    tree->levels = find_widths(leaves, widths);
    for (uint32_t level = 0; level < tree->levels; level++) {
        tree->first[level + 1] = tree->first[level] + widths[tree->levels - 1 - level];
    }
    tree->nodes = tree->first[tree->levels];
}

uint32_t merkle__level(const struct moot_merkle *tree, uint32_t node)
{
    MOOT_ASSERT(node < tree->nodes);
    uint32_t level = 0;
    while (node >= tree->first[level + 1]) {
        level += 1;
    }
    return level;
}

uint32_t merkle__children(const struct moot_merkle *tree, uint32_t node, uint32_t *first)
{
    uint32_t level = merkle__level(tree, node);
    if (level + 1 == tree->levels) {
        return 0;
    }
    *first = tree->first[level + 1] + (node - tree->first[level]) * FANOUT;
    return (uint32_t)moot_min_u64(FANOUT, tree->first[level + 2] - *first);
}

/* What a child counts for in its parent. An empty one counts for nothing, so that an empty tree is
 * all zeros. The finalizer of splitmix64 is a bijection: no two digests at one place agree. */
static uint64_t contribution(uint32_t place, uint64_t digest)
{
    if (digest == 0) {
        return 0;
    }
    uint64_t z = digest + (place + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void moot_merkle_add(struct moot_merkle *tree, uint32_t leaf, uint64_t digest)
{
    MOOT_ASSERT(leaf < tree->leaves);
    uint32_t place = leaf;
    uint64_t change = digest;
    for (uint32_t level = tree->levels; level > 0; level--) {
        uint64_t *node = &tree->digests[tree->first[level - 1] + place];
        uint64_t old = *node;
        *node += change;
        change = contribution(place % FANOUT, *node) - contribution(place % FANOUT, old);
        place /= FANOUT;
    }
}

uint64_t moot_merkle_leaf_digest(const struct moot_merkle *tree, uint32_t leaf)
{
    MOOT_ASSERT(leaf < tree->leaves);
    return tree->digests[tree->first[tree->levels - 1] + leaf];
}

uint64_t moot_merkle_root(const struct moot_merkle *tree) { return tree->digests[0]; }

void moot_merkle_check(const struct moot_merkle *tree)
{
    MOOT_ASSERT(tree->levels >= 1);
    for (uint32_t node = 0; node < tree->first[tree->levels - 1]; node++) {
        uint32_t first;
        uint32_t count = merkle__children(tree, node, &first);
        uint64_t sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            sum += contribution(i, tree->digests[first + i]);
        }
        MOOT_ASSERT(count > 0);
        MOOT_ASSERT(sum == tree->digests[node]);
    }
}

int moot_merkle_encode(const struct moot_merkle *tree, uint8_t *out, size_t size, size_t *used)
{
    struct moot_writer writer = moot_writer_make(out, size);
    moot_write_u8(&writer, TREE_VERSION);
    moot_write_varint(&writer, tree->leaves);
    uint32_t gap = 0; /* Empty leaves since the last one written. */
    for (uint32_t leaf = 0; leaf < tree->leaves; leaf++) {
        uint64_t digest = moot_merkle_leaf_digest(tree, leaf);
        gap += 1;
        if (digest != 0) {
            moot_write_varint(&writer, gap);
            moot_write_u64(&writer, digest);
            gap = 0;
        }
    }
    moot_write_varint(&writer, 0);
    *used = writer.failed ? 0 : (size_t)(writer.at - out);
    return writer.failed ? MOOT_FAIL(MOOT_ELIMIT) : MOOT_OK;
}

static int decode_leaves(struct moot_merkle *tree, struct moot_reader *reader)
{
    uint64_t next = 0;
    for (;;) {
        uint64_t gap = moot_get_varint(reader);
        if (reader->failed || gap > tree->leaves - next) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        if (gap == 0) {
            return moot_reader_left(reader) == 0 ? MOOT_OK : MOOT_FAIL(MOOT_EINVALID);
        }
        uint64_t digest = moot_get_u64(reader);
        if (reader->failed || digest == 0) {
            return MOOT_FAIL(MOOT_EINVALID);
        }
        next += gap;
        moot_merkle_add(tree, (uint32_t)next - 1, digest);
    }
}

int moot_merkle_decode(struct moot_merkle *tree, struct moot_slice bytes)
{
    struct moot_reader reader = moot_reader_make(bytes);
    moot_merkle_init(tree, tree->digests, tree->leaves);
    uint8_t version = moot_get_u8(&reader);
    uint64_t leaves = moot_get_varint(&reader);
    if (!reader.failed && version != TREE_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (reader.failed || leaves != tree->leaves) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    int status = decode_leaves(tree, &reader);
    if (status != MOOT_OK) {
        moot_merkle_init(tree, tree->digests, tree->leaves);
    }
    return status;
}
