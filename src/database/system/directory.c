#include "database/system/directory.h"

#include "base/assert.h"
#include "base/codec.h"
#include "base/limits.h"
#include "base/rule.h"
#include "base/status.h"
#include "wire/address.h"

enum {
    KIND_NODE = 'n',
    KIND_NEXT = 'N',
    KIND_CLUSTER = 'C',
    NODE_VERSION = 1,
    NODE_VERSION_REMOVED = 2, /* With the change that removed it. */
};

static struct moot_slice system_key(struct moot_arena *arena, uint8_t kind, struct moot_slice rest)
{
    return moot_key_group(arena, MOOT_GROUP_SYSTEM, kind, rest);
}

static struct moot_slice node_key(struct moot_arena *arena, moot_node_id node)
{
    uint8_t bytes[4];
    moot_store_be32(bytes, node);
    return system_key(arena, KIND_NODE, moot_slice_make(bytes, sizeof(bytes)));
}

/* ---- the cache ---- */

void moot_directory_from_identity(struct moot_directory *directory,
                                  const struct moot_identity *identity)
{
    *directory = (struct moot_directory){0};
    for (uint32_t i = 0; i < identity->initial_count; i++) {
        directory->nodes[directory->count++] =
            (struct moot_directory_node){identity->initial[i], MOOT_NODE_MEMBER, 0};
    }
}

const struct moot_directory_node *moot_directory_find(const struct moot_directory *directory,
                                                      moot_node_id node)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        if (directory->nodes[i].address.node == node) {
            return &directory->nodes[i];
        }
    }
    return NULL;
}

enum moot_node_state moot_directory_state(const struct moot_directory *directory, moot_node_id node)
{
    const struct moot_directory_node *known = moot_directory_find(directory, node);
    if (known != NULL) {
        return known->state;
    }
    bool is_new = node == 0 || node >= directory->next;
    return MOOT_RULE(unlisted_was_removed, is_new) ? MOOT_NODE_UNKNOWN : MOOT_NODE_REMOVED;
}

static bool decode_text(struct moot_reader *reader, char out[MOOT_ADDRESS_MAX])
{
    struct moot_slice text = moot_get_bytes(reader);
    if (text.size >= MOOT_ADDRESS_MAX) {
        return false;
    }
    memcpy(out, text.data, text.size);
    out[text.size] = '\0';
    return true;
}

static bool decode_node(struct moot_slice key, struct moot_slice value,
                        struct moot_directory_node *out)
{
    struct moot_reader reader = moot_reader_make(value);
    *out = (struct moot_directory_node){0};
    uint8_t version = moot_get_u8(&reader);
    if (key.size < 4 || (version != NODE_VERSION && version != NODE_VERSION_REMOVED)) {
        return false;
    }
    out->address.node = moot_load_be32(key.data + key.size - 4);
    uint8_t state = moot_get_u8(&reader);
    out->state = (enum moot_node_state)state;
    bool good = (state == MOOT_NODE_MEMBER || state == MOOT_NODE_REMOVED) &&
                decode_text(&reader, out->address.peer) &&
                decode_text(&reader, out->address.client);
    out->removed_as = good && version == NODE_VERSION_REMOVED ? moot_get_u64(&reader) : 0;
    return good && !reader.failed;
}

static void put_node(struct moot_buffer *out, const struct moot_directory_node *node)
{
    moot_put_u8(out, node->removed_as != 0 ? NODE_VERSION_REMOVED : NODE_VERSION);
    moot_put_u8(out, (uint8_t)node->state);
    moot_put_bytes(out, moot_slice_text(node->address.peer));
    moot_put_bytes(out, moot_slice_text(node->address.client));
    if (node->removed_as != 0) {
        moot_put_u64(out, node->removed_as);
    }
}

static int load_nodes(struct moot_directory *directory, struct moot_view *view,
                      struct moot_arena *arena)
{
    struct moot_slice prefix = system_key(arena, KIND_NODE, (struct moot_slice){NULL, 0});
    struct moot_slice key, value;
    struct moot_view_iterator iterator;
    int status = moot_view_iterate(view, MOOT_WHEN_NOW, moot_key_prefix_range(arena, prefix), false,
                                   &iterator);
    if (status != 0) {
        return status;
    }
    while ((status = moot_view_next(&iterator, &key, &value)) == 0) {
        if (directory->count == MOOT_NODES_MAX ||
            !decode_node(key, value, &directory->nodes[directory->count])) {
            status = MOOT_FAIL(MOOT_ECORRUPT);
            break;
        }
        directory->count++;
    }
    moot_view_iterate_end(&iterator);
    return status == MOOT_ENOTFOUND ? 0 : status;
}

/* MOOT_ENOTFOUND: the cluster is not formed yet. */
static int load_next(struct moot_directory *directory, struct moot_view *view,
                     struct moot_arena *arena)
{
    struct moot_slice value, key = system_key(arena, KIND_NEXT, (struct moot_slice){NULL, 0});
    int status = moot_view_get(view, MOOT_WHEN_NOW, key, &value);
    if (status != 0) {
        return status;
    }
    if (value.size != 4 && value.size != 8) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    directory->next = moot_load_le32(value.data);
    directory->unlisted = value.size == 8 ? moot_load_le32(value.data + 4) : 0;
    return directory->next == 0 ? MOOT_FAIL(MOOT_ECORRUPT) : 0;
}

int moot_directory_load(struct moot_directory *directory, struct moot_view *view)
{
    struct moot_arena arena;
    moot_arena_init(&arena);
    struct moot_directory loaded = {.formed = true};
    moot_view_budget(view, UINT64_MAX);
    int status = load_next(&loaded, view, &arena);
    if (status == 0) {
        status = load_nodes(&loaded, view, &arena);
    }
    moot_arena_deinit(&arena);
    if (status == 0) {
        *directory = loaded;
    }
    return status == MOOT_ENOTFOUND ? 0 : status; /* The identity's first members stay. */
}

uint64_t moot_directory_changes(const struct moot_directory *directory)
{
    uint64_t changes = directory->count + 2 * (uint64_t)directory->unlisted;
    for (uint32_t i = 0; i < directory->count; i++) {
        changes += directory->nodes[i].state == MOOT_NODE_REMOVED;
    }
    return changes;
}

/* ---- in the log ---- */

void moot_directory_put_addresses(const struct moot_directory *directory,
                                  const struct moot_members *members, struct moot_buffer *out)
{
    for (uint32_t i = 0; i < directory->count; i++) {
        const struct moot_address *address = &directory->nodes[i].address;
        if (moot_members_has(members, address->node)) {
            moot_put_u32(out, address->node);
            moot_put_bytes(out, moot_slice_text(address->peer));
            moot_put_bytes(out, moot_slice_text(address->client));
        }
    }
}

bool moot_directory_next_address(struct moot_reader *reader, struct moot_address *out)
{
    if (moot_reader_left(reader) == 0 || reader->failed) {
        return false;
    }
    *out = (struct moot_address){.node = moot_get_u32(reader)};
    struct moot_slice peer = moot_get_bytes(reader), client = moot_get_bytes(reader);
    bool good = !reader->failed && out->node != 0 && moot_address_copy(peer, out->peer) &&
                moot_address_copy(client, out->client);
    reader->failed = !good;
    return good;
}

/* ---- the state machine ---- */

static int save_node(struct moot_call *call, const struct moot_directory_node *node)
{
    struct moot_buffer value;
    moot_buffer_init(&value);
    put_node(&value, node);
    int status = moot_view_put(call->view, node_key(call->arena, node->address.node),
                               moot_buffer_slice(&value));
    moot_buffer_deinit(&value);
    return status;
}

static int save_next(struct moot_call *call, moot_node_id next, uint32_t unlisted)
{
    uint8_t bytes[8];
    moot_store_le32(bytes, next);
    moot_store_le32(bytes + 4, unlisted);
    struct moot_slice key = system_key(call->arena, KIND_NEXT, (struct moot_slice){NULL, 0});
    return moot_view_put(call->view, key, moot_slice_make(bytes, unlisted == 0 ? 4 : 8));
}

static bool lists_the_last_only(const struct moot_call *call)
{
    const uint32_t *level = call->shared->feature_level;
    return level == NULL || *level >= DIRECTORY_LEVEL_LISTS;
}

static int nibble(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool from_hex(struct moot_slice text, struct moot_arena *arena, struct moot_slice *out)
{
    uint8_t *bytes = moot_arena_alloc(arena, text.size / 2 + 1);
    for (size_t i = 0; i + 1 < text.size; i += 2) {
        int high = nibble(text.data[i]), low = nibble(text.data[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        bytes[i / 2] = (uint8_t)(high * 16 + low);
    }
    *out = moot_slice_make(bytes, text.size / 2);
    return text.size % 2 == 0;
}

int moot_directory_form(struct moot_call *call)
{
    struct moot_slice bytes, known;
    struct moot_identity identity;
    struct moot_slice key = system_key(call->arena, KIND_CLUSTER, (struct moot_slice){NULL, 0});
    int status = moot_view_get(call->view, MOOT_WHEN_NOW, key, &known);
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
        return 0;
    }
    if (status != MOOT_ENOTFOUND) {
        return status;
    }
    if (!from_hex(call->args[1], call->arena, &bytes) ||
        moot_identity_decode(bytes, &identity) != 0) {
        return moot_call_error(call, "ERR that is not an identity");
    }
    status = moot_view_put(call->view, key, bytes);
    uint32_t next = 1;
    for (uint32_t i = 0; status == 0 && i < identity.initial_count; i++) {
        struct moot_directory_node node = {identity.initial[i], MOOT_NODE_MEMBER, 0};
        next = node.address.node + 1;
        status = save_node(call, &node);
    }
    if (status == 0) {
        status = save_next(call, next, 0);
    }
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
    }
    return status;
}

static void reply_hex(struct moot_call *call, const struct moot_identity *identity)
{
    static const char digits[] = "0123456789abcdef";
    struct moot_buffer bytes, text;
    moot_buffer_init(&bytes);
    moot_buffer_init(&text);
    moot_identity_encode(identity, &bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        char pair[2] = {digits[bytes.data[i] >> 4], digits[bytes.data[i] & 15]};
        moot_buffer_append(&text, pair, 2);
    }
    moot_resp_bulk(&call->reply, moot_buffer_slice(&text));
    moot_buffer_deinit(&bytes);
    moot_buffer_deinit(&text);
}

/* Whom the list can do without first: of those that have been taken out of the group, the one that
 * was removed first. NULL: nobody. */
static const struct moot_directory_node *to_unlist(const struct moot_call *call,
                                                   const struct moot_directory *directory)
{
    const struct moot_directory_node *first = NULL;
    for (uint32_t i = 0; i < directory->count; i++) {
        const struct moot_directory_node *node = &directory->nodes[i];
        bool is_out = call->shared->members == NULL ||
                      !moot_members_has(call->shared->members, node->address.node);
        if (node->state == MOOT_NODE_REMOVED && MOOT_RULE(unlisted_is_out, is_out) &&
            (first == NULL || node->removed_as < first->removed_as)) {
            first = node;
        }
    }
    return first;
}

static uint32_t count_removed(const struct moot_directory *directory)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < directory->count; i++) {
        count += directory->nodes[i].state == MOOT_NODE_REMOVED;
    }
    return count;
}

/* Takes those off the list that it need not have, and one more when it has no room for another. */
static int make_room(struct moot_call *call, struct moot_directory *directory)
{
    const struct moot_directory_node *gone;
    while ((count_removed(directory) > MOOT_REMOVED_LISTED_MAX ||
            directory->count == MOOT_NODES_MAX) &&
           (gone = to_unlist(call, directory)) != NULL) {
        MOOT_SOMETIMES(true, "the directory lists a node no more that left long ago");
        int status = moot_view_delete(call->view, node_key(call->arena, gone->address.node));
        if (status != 0) {
            return status;
        }
        size_t at = (size_t)(gone - directory->nodes);
        directory->count--;
        directory->unlisted++;
        memmove(&directory->nodes[at], &directory->nodes[at + 1],
                (directory->count - at) * sizeof(*gone));
    }
    return 0;
}

/* Why nobody can join now; NULL: somebody can. */
static const char *refuse_join(struct moot_call *call, const struct moot_directory *directory)
{
    if (!lists_the_last_only(call)) {
        if (directory->next <= MOOT_NODES_MAX) {
            return NULL;
        }
        call->shared->level_wanted = DIRECTORY_LEVEL_LISTS;
        return "TRYAGAIN the ids that this cluster began with are all given; it goes over to newer "
               "rules as soon as all members know them: upgrade every node (the leader says in "
               "its log whom it waits for), then ask again";
    }
    if (directory->next > MOOT_NODE_ID_MAX) {
        return "ERR every node id that there is has been given, and none is given twice: this "
               "cluster takes no node any more; form a new one, and copy the data";
    }
    if (directory->count < MOOT_NODES_MAX) {
        return NULL;
    }
    return count_removed(directory) > 0
               ? "TRYAGAIN there is no room before a node that was removed has been taken out; "
                 "safe to retry"
               : "ERR the cluster has as many nodes as it can have at once; remove one first";
}

int moot_directory_join(struct moot_call *call)
{
    struct moot_slice bytes;
    struct moot_identity identity;
    struct moot_directory directory = {0};
    struct moot_slice key = system_key(call->arena, KIND_CLUSTER, (struct moot_slice){NULL, 0});
    int status = moot_view_get(call->view, MOOT_WHEN_NOW, key, &bytes);
    if (status == MOOT_ENOTFOUND) {
        return moot_call_error(call, "TRYAGAIN the cluster is being formed; safe to retry");
    }
    if (status == 0) {
        status = moot_directory_load(&directory, call->view);
    }
    if (status != 0) {
        return status;
    }
    if (moot_identity_decode(bytes, &identity) != 0) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    struct moot_directory_node node = {.state = MOOT_NODE_MEMBER, .address.node = directory.next};
    if (!moot_address_copy(call->args[1], node.address.peer) ||
        !moot_address_copy(call->args[2], node.address.client)) {
        return moot_call_error(call, "ERR an address is host:port");
    }
    status = lists_the_last_only(call) ? make_room(call, &directory) : 0;
    if (status != 0) {
        return status;
    }
    const char *why = refuse_join(call, &directory);
    if (why != NULL) {
        return moot_call_error(call, why);
    }
    MOOT_ASSERT(moot_directory_find(&directory, node.address.node) == NULL);
    status = save_node(call, &node);
    if (status == 0) {
        status = save_next(call, directory.next + 1, directory.unlisted);
    }
    if (status == 0) {
        identity.node = node.address.node;
        identity.self = node.address;
        reply_hex(call, &identity);
    }
    return status;
}

static bool others_stay(const struct moot_call *call, const struct moot_directory *directory,
                        moot_node_id gone)
{
    bool stay = false;
    for (uint32_t i = 0; i < directory->count; i++) {
        const struct moot_directory_node *node = &directory->nodes[i];
        /* Who has joined may never come: only a voter is sure to hold anything. */
        bool holds = call->shared->members == NULL ||
                     moot_members_has_voter(call->shared->members, node->address.node);
        stay = stay || (node->state == MOOT_NODE_MEMBER && node->address.node != gone && holds);
    }
    return stay;
}

/* A removal is judged where it is asked for, by who is alive, which no log can know; and that
 * node's directory lags. Of several that are on their way at once each would be judged as if it
 * were alone, and together they could leave no majority, or nobody. Here they are in order: only
 * the first still finds what it was judged by. */
static const char *refuse_removal(const struct moot_call *call,
                                  const struct moot_directory *directory, moot_node_id gone,
                                  uint64_t judged_by)
{
    if (!MOOT_RULE(remove_judged_as_it_is, moot_directory_changes(directory) == judged_by)) {
        MOOT_SOMETIMES(true, "a removal found other members than it was judged by");
        return "TRYAGAIN another change of members came first; not done, safe to ask again";
    }
    if (!MOOT_RULE(remove_keeps_a_member, others_stay(call, directory, gone))) {
        return "ERR refused: it is the last member that votes";
    }
    return NULL;
}

int moot_directory_remove(struct moot_call *call)
{
    uint64_t id, judged_by;
    if (!moot_slice_to_u64(call->args[1], &id) || id == 0 || id > UINT32_MAX ||
        !moot_slice_to_u64(call->args[2], &judged_by)) {
        return moot_call_error(call, "ERR that is not a node's number");
    }
    struct moot_directory directory = {0};
    int status = moot_directory_load(&directory, call->view);
    if (status != 0) {
        return status;
    }
    const struct moot_directory_node *known = moot_directory_find(&directory, (moot_node_id)id);
    bool done = known != NULL && known->state == MOOT_NODE_REMOVED;
    if (known == NULL) { /* Not listed any more, or nobody. */
        done = lists_the_last_only(call) && id < directory.next;
        if (!done) {
            return moot_call_error(call, "ERR there is no such node");
        }
    }
    if (!done) { /* Else asking twice is harmless. */
        const char *why = refuse_removal(call, &directory, (moot_node_id)id, judged_by);
        if (why != NULL) {
            return moot_call_error(call, why);
        }
        struct moot_directory_node node = *known;
        node.state = MOOT_NODE_REMOVED;
        node.removed_as = lists_the_last_only(call) ? judged_by + 1 : 0;
        status = save_node(call, &node);
    }
    if (status == 0) {
        moot_resp_simple(&call->reply, "OK");
    }
    return status;
}
