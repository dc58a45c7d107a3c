/* A key's head record: what kind of value it is, and all that is needed to replace, expire or watch
 * it in O(1).
 *
 *   version u8, type u8, flags u8, stamp (time u64, ordinal u32), expiry_ms u64 (0: none), then by
 * type: string: the bytes.   hash, list ...: incarnation u64, count u64, digest u64 (sum of hashes
 * of its elements), then list: first i64, last i64 (positions of its ends).
 *
 * Deleting or replacing a collection changes the head only: its elements belong to an incarnation
 * that nobody will read again and are removed by one range deletion. The elements' digest lives in
 * the head, so that the contents' digest is a sum over heads, whatever happens to remains. */
#ifndef MOOT_DATABASE_EXECUTE_HEAD_H
#define MOOT_DATABASE_EXECUTE_HEAD_H

#include "base/buffer.h"
#include "moot/base.h"
#include "moot/hlc.h"

/* A place along a group's log, and a time: strictly increasing. */
struct moot_stamp {
    moot_hlc_stamp time;
    uint32_t ordinal; /* Among the commands of one entry. */
};
static inline bool moot_stamp_equal(struct moot_stamp a, struct moot_stamp b)
{
    return a.time == b.time && a.ordinal == b.ordinal;
}
static inline bool moot_stamp_before(struct moot_stamp a, struct moot_stamp b)
{
    return a.time < b.time || (a.time == b.time && a.ordinal < b.ordinal);
}

enum moot_type {
    MOOT_TYPE_NONE = 0,
    MOOT_TYPE_STRING = 1,
    MOOT_TYPE_LIST = 2,
    MOOT_TYPE_SET = 3,
    MOOT_TYPE_ZSET = 4,
    MOOT_TYPE_HASH = 5,
    MOOT_TYPE_STREAM = 6,
};
const char *moot_type_name(enum moot_type type); /* "none", "string", ... as TYPE answers */

struct moot_head {
    enum moot_type type;
    struct moot_stamp stamp;  /* Of the last write. */
    uint64_t expiry_ms;       /* 0: never. */
    struct moot_slice string; /* STRING */
    uint64_t incarnation;     /* collections: unique in the group for ever */
    uint64_t count;
    uint64_t digest;
    int64_t first, last; /* LIST: positions of the first and the last element. */
};

void moot_head_encode(const struct moot_head *head, struct moot_buffer *out);
/* The same into memory that the caller has, moot_head_size bytes: a value is copied once. */
size_t moot_head_size(const struct moot_head *head);
void moot_head_write(const struct moot_head *head, uint8_t *at);
int moot_head_decode(struct moot_slice bytes,
                     struct moot_head *out) MOOT_MUST_USE; /* MOOT_ECORRUPT, MOOT_EVERSION */

#endif
