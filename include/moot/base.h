/* The few types that every module of libmoot shares.
 *
 * Intuition: a protocol core lives in a sealed room. What it knows of the world arrives as
 * values: a time is a number handed in, bytes are a pointer and a length, randomness is a seed.
 * This header names those values so that nobody passes a bare uint64_t and hopes.
 *
 * Not handled here: memory (base/memory.h), growing buffers (base/buffer.h), encodings
 * (base/codec.h). */
#ifndef MOOT_BASE_H
#define MOOT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A point on a monotonic clock, in nanoseconds since an origin that only the driver knows.
 * Never a wall clock: those are `*_ms` fields and say so. */
struct moot_instant {
    uint64_t ns;
};
struct moot_duration {
    uint64_t ns;
};

#define MOOT_USEC_NS UINT64_C(1000)
#define MOOT_MSEC_NS UINT64_C(1000000)
#define MOOT_SEC_NS  UINT64_C(1000000000)
#define MOOT_NEVER   ((struct moot_instant){UINT64_MAX})

static inline struct moot_duration moot_ms(uint64_t ms)
{
    return (struct moot_duration){ms * MOOT_MSEC_NS};
}
/* Saturates at MOOT_NEVER. */
static inline struct moot_instant moot_instant_add(struct moot_instant at, struct moot_duration gap)
{
    return at.ns > UINT64_MAX - gap.ns ? MOOT_NEVER : (struct moot_instant){at.ns + gap.ns};
}
/* How long from `earlier` to `later`; zero when `later` is not later. */
static inline struct moot_duration moot_instant_since(struct moot_instant later,
                                                      struct moot_instant earlier)
{
    return (struct moot_duration){later.ns > earlier.ns ? later.ns - earlier.ns : 0};
}
static inline bool moot_instant_before(struct moot_instant a, struct moot_instant b)
{
    return a.ns < b.ns;
}
static inline struct moot_instant moot_instant_min(struct moot_instant a, struct moot_instant b)
{
    return a.ns < b.ns ? a : b;
}

/* Bytes that somebody else owns. `data` may be NULL only when `size` is 0. */
struct moot_slice {
    const uint8_t *data;
    size_t size;
};

static inline uint64_t moot_min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t moot_max_u64(uint64_t a, uint64_t b) { return a > b ? a : b; }

typedef uint32_t moot_node_id;  /* 1 and up; 0 is nobody. One disk, one id: never used again. */
typedef uint32_t moot_group_id; /* 0 is `system`, 1 is `db0`. */
typedef uint64_t moot_index;    /* Place in a group's log: 1 and up; 0 is before the log. */
typedef uint64_t moot_term;     /* Raft term: 1 and up; 0 is before any election. */
typedef uint64_t moot_ticket; /* Number of a journal batch or other asynchronous effect; 0: none. */

enum { MOOT_GROUP_SYSTEM = 0, MOOT_GROUP_DB0 = 1 };

#define MOOT_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MOOT_MUST_USE     __attribute__((warn_unused_result))

#endif
