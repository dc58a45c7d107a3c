#include "database/group/entry.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/status.h"

void moot_entry_put_header(uint8_t *out, const struct moot_entry *entry)
{
    out[0] = MOOT_ENTRY_VERSION;
    out[1] = (uint8_t)entry->kind;
    out[2] = (uint8_t)entry->flags;
    out[3] = (uint8_t)(entry->flags >> 8);
    moot_store_le64(out + 4, entry->stamp);
    moot_store_le64(out + 12, entry->seed);
    moot_store_le32(out + 20, entry->edge);
    moot_store_le64(out + 24, entry->edge_incarnation);
    moot_store_le64(out + 32, entry->batch);
    _Static_assert(MOOT_ENTRY_HEADER_BYTES == 40, "the header's fields fill it");
}

int moot_entry_decode(struct moot_slice bytes, struct moot_entry *out)
{
    if (bytes.size < MOOT_ENTRY_HEADER_BYTES) {
        return MOOT_FAIL(MOOT_EINVALID);
    }
    const uint8_t *at = bytes.data;
    if (at[0] != MOOT_ENTRY_VERSION) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    if (at[1] > MOOT_ENTRY_CUT) {
        return MOOT_FAIL(MOOT_EVERSION);
    }
    *out = (struct moot_entry){
        .kind = (enum moot_entry_kind)at[1],
        .flags = (uint16_t)(at[2] | (uint16_t)at[3] << 8),
        .stamp = moot_load_le64(at + 4),
        .seed = moot_load_le64(at + 12),
        .edge = moot_load_le32(at + 20),
        .edge_incarnation = moot_load_le64(at + 24),
        .batch = moot_load_le64(at + 32),
        .body = {at + MOOT_ENTRY_HEADER_BYTES, bytes.size - MOOT_ENTRY_HEADER_BYTES},
    };
    return 0;
}

static void put_nodes(struct moot_buffer *out, const moot_node_id *nodes, uint8_t count)
{
    moot_put_u8(out, count);
    for (uint8_t i = 0; i < count; i++) {
        moot_put_u32(out, nodes[i]);
    }
}

static bool get_nodes(struct moot_reader *reader, moot_node_id *nodes, uint8_t *count, uint8_t max)
{
    *count = moot_get_u8(reader);
    if (*count > max) {
        return false;
    }
    for (uint8_t i = 0; i < *count; i++) {
        nodes[i] = moot_get_u32(reader);
    }
    return !reader->failed;
}

void moot_members_encode(const struct moot_members *members, struct moot_buffer *out)
{
    MOOT_ASSERT(moot_members_is_valid(members));
    moot_put_u8(out, 1 /* version */);
    put_nodes(out, members->voters, members->voter_count);
    put_nodes(out, members->outgoing, members->outgoing_count);
    put_nodes(out, members->learners, members->learner_count);
    put_nodes(out, members->learners_next, members->learner_next_count);
}

bool moot_members_decode(struct moot_reader *reader, struct moot_members *out)
{
    *out = (struct moot_members){0};
    return moot_get_u8(reader) == 1 &&
           get_nodes(reader, out->voters, &out->voter_count, MOOT_QUORUM_VOTERS_MAX) &&
           get_nodes(reader, out->outgoing, &out->outgoing_count, MOOT_QUORUM_VOTERS_MAX) &&
           get_nodes(reader, out->learners, &out->learner_count, MOOT_QUORUM_LEARNERS_MAX) &&
           get_nodes(reader, out->learners_next, &out->learner_next_count,
                     MOOT_QUORUM_LEARNERS_MAX) &&
           moot_members_is_valid(out);
}
