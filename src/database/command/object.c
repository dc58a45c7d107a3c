/* Keys and their values as handlers see them: what keeps heads, elements, the expiry index, the
 * number of keys, the digest of contents and the deletion stamps in step with each other. */
#include "base/assert.h"
#include "base/codec.h"
#include "base/hash.h"
#include "base/rule.h"
#include "base/status.h"
#include "database/command/command.h"

enum {
    RECORD_DELETED = 'd', /* Deletion stamp of a bucket of keys: bucket be16 -> time, ordinal. */
    RECORD_FLOOR = 'f',   /* The same for all buckets. */
    BUCKETS = 4096,
    STAMP_BYTES = 12,
};

/* ---- small parts ---- */

bool moot_keyspace_is_live(const struct moot_call_shared *shared, moot_keyspace keyspace)
{
    for (size_t i = 0; i < MOOT_DATABASES; i++) {
        if (shared->keyspace_of[i] == keyspace) {
            return true;
        }
    }
    return false;
}

static struct moot_keyspace_sums *sums_of(struct moot_call *call, moot_keyspace keyspace)
{
    MOOT_ASSERT(moot_keyspace_is_live(call->shared, keyspace));
    return &call->shared->sums[moot_keyspace_place(keyspace)];
}

/* A handler asks for the same key two or three times: its slot and print are made once. */
static struct moot_slice physical_of(struct moot_call *call, struct moot_slice key)
{
    if (call->memo.physical.size == 0 || call->memo.keyspace != call->keyspace ||
        !moot_slice_equal(call->memo.key, key)) {
        call->memo.keyspace = call->keyspace;
        call->memo.physical = moot_key_head(call->arena, call->keyspace, key);
        /* The key's bytes inside the physical key: whoever owned `key` may be gone. */
        call->memo.key = (struct moot_slice){
            call->memo.physical.data + call->memo.physical.size - 1 - key.size, key.size};
    }
    return call->memo.physical;
}

static bool is_collection(const struct moot_head *head)
{
    return head->type != MOOT_TYPE_NONE && head->type != MOOT_TYPE_STRING;
}

static uint64_t digest_of(struct moot_slice physical, struct moot_slice bytes)
{
    return moot_hash_mix(moot_hash64(physical, 0), moot_hash64(bytes, 0));
}

/* One head more or less in the sums. */
static void add_to_sums(struct moot_call *call, struct moot_slice physical, struct moot_slice bytes,
                        bool is_new)
{
    uint64_t digest = digest_of(physical, bytes);
    sums_of(call, call->keyspace)->digest += digest;
    sums_of(call, call->keyspace)->count += is_new;
    call->shared->contents_digest += digest;
}
static void take_from_sums(struct moot_call *call, struct moot_slice physical,
                           struct moot_slice bytes, bool is_last)
{
    uint64_t digest = digest_of(physical, bytes);
    MOOT_ASSERT(!is_last || sums_of(call, call->keyspace)->count > 0);
    sums_of(call, call->keyspace)->digest -= digest;
    sums_of(call, call->keyspace)->count -= is_last;
    call->shared->contents_digest -= digest;
}

static struct moot_slice stamp_bytes(struct moot_arena *arena, struct moot_stamp stamp)
{
    uint8_t *bytes = moot_arena_alloc(arena, STAMP_BYTES);
    moot_store_le64(bytes, stamp.time);
    moot_store_le32(bytes + 8, stamp.ordinal);
    return (struct moot_slice){bytes, STAMP_BYTES};
}

/* The record of the bucket that the key falls into. */
static struct moot_slice deletion_key(struct moot_call *call, struct moot_slice key)
{
    struct moot_key_parts parts;
    bool parsed = moot_key_parse(physical_of(call, key), &parts);
    MOOT_ASSERT(parsed);
    uint8_t bucket[2];
    moot_store_be16(bucket, (uint16_t)(parts.print % BUCKETS));
    return moot_key_keyspace(call->arena, call->keyspace, RECORD_DELETED,
                             (struct moot_slice){bucket, sizeof(bucket)});
}

static int remove_elements(struct moot_call *call, struct moot_slice key,
                           const struct moot_head *head)
{
    struct moot_range range = moot_key_prefix_range(
        call->arena, moot_key_elements(call->arena, call->keyspace, key, head->incarnation));
    return head->count <= MOOT_COLLECT_AT_ONCE
               ? moot_view_delete_range(call->view, range.from, range.to)
               : moot_garbage_add(call, range);
}

/* ---- finding ---- */

/* What is there, due or not; `bytes` are the head's. */
static int read_head(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                     struct moot_slice *bytes)
{
    int status = moot_view_get(call->view, MOOT_WHEN_NOW, physical_of(call, key), bytes);
    return status == MOOT_OK ? moot_head_decode(*bytes, head) : status;
}

int moot_object_find(struct moot_call *call, struct moot_slice key, struct moot_head *head)
{
    struct moot_slice bytes;
    int status = read_head(call, key, head, &bytes);
    if (status != MOOT_OK) {
        return status;
    }
    bool is_due = head->expiry_ms != 0 && head->expiry_ms <= call->now_ms;
    if (MOOT_RULE(engine_due_is_absent, !is_due)) {
        return MOOT_OK;
    }
    MOOT_SOMETIMES(call->is_read, "a read met a key past its expiry");
    MOOT_SOMETIMES(!call->is_read, "a write met a key past its expiry");
    if (call->is_read) {
        call->shared->due_keyspace = call->keyspace;
        call->shared->due_key = moot_arena_copy(call->shared->signal_arena, key);
        return MOOT_EDUE;
    }
    status = moot_object_delete(call, key, head);
    return status == MOOT_OK ? MOOT_ENOTFOUND : status;
}

int moot_object_find_type(struct moot_call *call, struct moot_slice key, enum moot_type type,
                          struct moot_head *head)
{
    int status = moot_object_find(call, key, head);
    if (status == MOOT_OK && head->type != type) {
        return moot_call_wrong_type(call);
    }
    return status;
}

/* ---- saving and deleting ---- */

static int move_expiry(struct moot_call *call, struct moot_slice key, uint64_t from_ms,
                       uint64_t to_ms)
{
    if (from_ms == to_ms) {
        return MOOT_OK;
    }
    if (from_ms != 0) {
        int status = moot_view_delete(call->view,
                                      moot_key_expiry(call->arena, call->keyspace, from_ms, key));
        if (status != MOOT_OK) {
            return status;
        }
    }
    if (to_ms == 0) {
        return MOOT_OK;
    }
    call->shared->expiry_floor_ms = moot_min_u64(call->shared->expiry_floor_ms, to_ms);
    return moot_view_put(call->view, moot_key_expiry(call->arena, call->keyspace, to_ms, key),
                         (struct moot_slice){NULL, 0});
}

int moot_object_save(struct moot_call *call, struct moot_slice key, const struct moot_head *before,
                     struct moot_head *head)
{
    (void)before; /* What is there says it better: a wrong `before` cannot spoil the sums. */
    MOOT_ASSERT(!call->is_read);
    if (head->string.size > MOOT_VALUE_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    struct moot_slice physical = physical_of(call, key);
    struct moot_head old;
    struct moot_slice old_bytes;
    int status = read_head(call, key, &old, &old_bytes);
    if (status != MOOT_OK && status != MOOT_ENOTFOUND) {
        return status;
    }
    bool is_new = status == MOOT_ENOTFOUND;
    head->stamp = call->stamp;
    MOOT_ASSERT(is_new || !moot_stamp_before(head->stamp, old.stamp));
    size_t size = moot_head_size(head);
    uint8_t *room = moot_view_room(call->view, size);
    moot_head_write(head, room);
    struct moot_slice bytes = {room, size};
    status = moot_view_put_room(call->view, physical, bytes);
    if (status == MOOT_OK) {
        status = move_expiry(call, key, is_new ? 0 : old.expiry_ms, head->expiry_ms);
    }
    if (status == MOOT_OK && !is_new && is_collection(&old) &&
        (!is_collection(head) || head->incarnation != old.incarnation)) {
        status = remove_elements(call, key, &old);
    }
    if (status != MOOT_OK) {
        return status;
    }
    if (!is_new) {
        take_from_sums(call, physical, old_bytes, false);
    }
    add_to_sums(call, physical, bytes, is_new);
    return MOOT_OK;
}

int moot_object_delete(struct moot_call *call, struct moot_slice key,
                       const struct moot_head *before)
{
    MOOT_ASSERT(!call->is_read);
    struct moot_slice physical = physical_of(call, key);
    struct moot_head old;
    struct moot_slice old_bytes;
    int status = read_head(call, key, &old, &old_bytes);
    if (status != MOOT_OK) {
        return status == MOOT_ENOTFOUND ? MOOT_OK : status;
    }
    status = moot_view_delete(call->view, physical);
    if (status == MOOT_OK) {
        status = move_expiry(call, key, old.expiry_ms, 0);
    }
    if (status == MOOT_OK && is_collection(&old) && (before == NULL || before->count > 0)) {
        status = remove_elements(call, key, &old);
    }
    if (status == MOOT_OK) {
        status = moot_view_put(call->view, deletion_key(call, key),
                               stamp_bytes(call->arena, call->stamp));
    }
    if (status == MOOT_OK) {
        take_from_sums(call, physical, old_bytes, true);
    }
    return status;
}

/* What was in the keyspace is dead: the next generation takes its place. */
static int leave_generation(struct moot_call *call, moot_keyspace from, moot_keyspace to)
{
    static const uint8_t kinds[] = {MOOT_KEY_DATA, MOOT_KEY_EXPIRY, MOOT_KEY_KEYSPACE};
    for (size_t i = 0; i < MOOT_ARRAY_LEN(kinds); i++) {
        int status = moot_garbage_add(call, moot_key_keyspace_range(call->arena, kinds[i], from));
        if (status != MOOT_OK) {
            return status;
        }
    }
    for (size_t i = 0; i < MOOT_DATABASES; i++) {
        if (call->shared->keyspace_of[i] == from) {
            call->shared->keyspace_of[i] = to;
        }
    }
    if (call->keyspace == from) {
        call->keyspace = to;
    }
    return MOOT_OK;
}

/* Everything at once, by the store: when 4,096 generations were flushed and the oldest is not yet
 * collected. Slow, but right. */
static int clear_generation(struct moot_call *call, moot_keyspace keyspace)
{
    static const uint8_t kinds[] = {MOOT_KEY_DATA, MOOT_KEY_EXPIRY, MOOT_KEY_KEYSPACE};
    int status = MOOT_OK;
    for (size_t i = 0; i < MOOT_ARRAY_LEN(kinds) && status == MOOT_OK; i++) {
        struct moot_range range = moot_key_keyspace_range(call->arena, kinds[i], keyspace);
        status = moot_view_clear_range(call->view, range.from, range.to);
    }
    return status;
}

int moot_object_flush(struct moot_call *call, moot_keyspace keyspace)
{
    MOOT_ASSERT(!call->is_read);
    struct moot_keyspace_sums *sums = sums_of(call, keyspace);
    if (sums->count > 0) {
        moot_keyspace next = (moot_keyspace)(keyspace + MOOT_PLACES);
        bool is_used;
        int status = moot_garbage_has(call, next, &is_used);
        if (status == MOOT_OK) {
            status =
                is_used ? clear_generation(call, keyspace) : leave_generation(call, keyspace, next);
        }
        if (status != MOOT_OK) {
            return status;
        }
        keyspace = is_used ? keyspace : next;
        call->shared->contents_digest -= sums->digest;
        *sums = (struct moot_keyspace_sums){0, 0};
        call->shared->signals_lost = true;
    }
    return moot_view_put(
        call->view,
        moot_key_keyspace(call->arena, keyspace, RECORD_FLOOR, (struct moot_slice){NULL, 0}),
        stamp_bytes(call->arena, call->stamp));
}

int moot_object_count(struct moot_call *call, moot_keyspace keyspace, uint64_t *count)
{
    *count = sums_of(call, keyspace)->count;
    return MOOT_OK;
}

/* ---- elements ---- */

/* Of one element; the head keeps the sum, which is therefore independent of the key's name and of
 * the incarnation. */
static uint64_t element_digest(struct moot_slice element, struct moot_slice value)
{
    return moot_hash_mix(moot_hash64(element, 0), moot_hash64(value, 0));
}

static int read_element(struct moot_call *call, struct moot_slice physical,
                        struct moot_slice *value, bool *existed)
{
    int status = moot_view_get(call->view, MOOT_WHEN_NOW, physical, value);
    *existed = status == MOOT_OK;
    return status == MOOT_ENOTFOUND ? MOOT_OK : status;
}

/* The physical key of an element. The store has nothing of a collection that this entry made: it
 * need not be asked (and could not be fetched from in time: were the entry to run again, the
 * incarnation might be another). */
static struct moot_slice element_key(struct moot_call *call, struct moot_slice key,
                                     const struct moot_head *head, struct moot_slice element)
{
    MOOT_ASSERT(is_collection(head));
    struct moot_slice physical =
        moot_key_element(call->arena, call->keyspace, key, head->incarnation, element);
    if (!call->is_read &&
        head->incarnation >> MOOT_INCARNATION_BITS == call->incarnation >> MOOT_INCARNATION_BITS) {
        moot_view_expect_absent(call->view, physical);
    }
    return physical;
}

int moot_element_get(struct moot_call *call, struct moot_slice key, const struct moot_head *head,
                     struct moot_slice element, struct moot_slice *value)
{
    return moot_view_get(call->view, MOOT_WHEN_NOW, element_key(call, key, head, element), value);
}

int moot_element_put(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                     struct moot_slice element, struct moot_slice value, bool *existed)
{
    MOOT_ASSERT(!call->is_read);
    if (value.size > MOOT_VALUE_MAX) {
        return MOOT_FAIL(MOOT_ELIMIT);
    }
    struct moot_slice physical = element_key(call, key, head, element);
    struct moot_slice old;
    int status = read_element(call, physical, &old, existed);
    if (status == MOOT_OK) {
        status = moot_view_put(call->view, physical, value);
    }
    if (status == MOOT_OK) {
        head->digest += element_digest(element, value);
        head->digest -= *existed ? element_digest(element, old) : 0;
    }
    return status;
}

int moot_element_add(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                     struct moot_slice element, struct moot_slice value)
{
    bool existed;
    MOOT_ASSERT(!call->is_read);
    moot_view_expect_absent(
        call->view, moot_key_element(call->arena, call->keyspace, key, head->incarnation, element));
    int status = moot_element_put(call, key, head, element, value, &existed);
    return status == MOOT_OK && existed ? MOOT_FAIL(MOOT_ECORRUPT) : status;
}

int moot_element_delete(struct moot_call *call, struct moot_slice key, struct moot_head *head,
                        struct moot_slice element, bool *existed)
{
    MOOT_ASSERT(!call->is_read);
    struct moot_slice physical = element_key(call, key, head, element);
    struct moot_slice old;
    int status = read_element(call, physical, &old, existed);
    if (status != MOOT_OK || !*existed) {
        return status;
    }
    status = moot_view_delete(call->view, physical);
    if (status == MOOT_OK) {
        head->digest -= element_digest(element, old);
    }
    return status;
}

/* ---- WATCH ---- */

/* Raises *stamp to the one in the record, if that is later. */
static int raise_stamp(struct moot_call *call, struct moot_slice record, struct moot_stamp *stamp)
{
    struct moot_slice bytes;
    int status = moot_view_get(call->view, MOOT_WHEN_NOW, record, &bytes);
    if (status != MOOT_OK) {
        return status == MOOT_ENOTFOUND ? MOOT_OK : status;
    }
    if (bytes.size != STAMP_BYTES) {
        return MOOT_FAIL(MOOT_ECORRUPT);
    }
    struct moot_stamp found = {moot_load_le64(bytes.data), moot_load_le32(bytes.data + 8)};
    if (moot_stamp_before(*stamp, found)) {
        *stamp = found;
    }
    return MOOT_OK;
}

int moot_object_stamp(struct moot_call *call, struct moot_slice key, struct moot_stamp *stamp)
{
    struct moot_head head;
    int status = moot_object_find(call, key, &head);
    if (status == MOOT_OK) {
        *stamp = head.stamp;
    }
    if (status != MOOT_ENOTFOUND) {
        return status;
    }
    *stamp = (struct moot_stamp){0, 0};
    status = raise_stamp(call, deletion_key(call, key), stamp);
    if (status == MOOT_OK) {
        status = raise_stamp(call,
                             moot_key_keyspace(call->arena, call->keyspace, RECORD_FLOOR,
                                               (struct moot_slice){NULL, 0}),
                             stamp);
    }
    return status;
}
