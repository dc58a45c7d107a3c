/* Clocks from elsewhere: any bytes. What is accepted is valid, is encoded again as the same, and
 * may be merged with anything else that was accepted. */
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"
#include "moot/bounded.h"
#include "moot/hlc.h"
#include "moot/lamport.h"
#include "moot/vector.h"
#include "moot/version.h"

static void expect_refusal(int status)
{
    MOOT_ASSERT(status == MOOT_EINVALID || status == MOOT_EVERSION || status == MOOT_EREFUSED);
}

static void lamport(struct moot_slice bytes)
{
    struct moot_lamport_stamp stamp;
    int status = moot_lamport_decode(bytes, &stamp);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    uint8_t again[MOOT_LAMPORT_STAMP_BYTES];
    size_t size;
    MOOT_ASSERT(moot_lamport_encode(stamp, again, sizeof(again), &size) == 0);
    MOOT_ASSERT(moot_slice_equal(moot_slice_make(again, size), bytes));
    struct moot_lamport clock;
    moot_lamport_init(&clock, 1, 0, UINT64_MAX);
    struct moot_lamport_stamp receipt;
    status = moot_lamport_receive(&clock, stamp, &receipt);
    MOOT_ASSERT(status == MOOT_EREFUSED || moot_lamport_compare(stamp, receipt) < 0);
}

static void vector(struct moot_slice bytes, struct moot_slice second)
{
    struct moot_vector a;
    struct moot_vector b;
    int status = moot_vector_decode(bytes, &a);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    uint8_t again[MOOT_VECTOR_BYTES_MAX];
    size_t size;
    MOOT_ASSERT(moot_vector_encode(&a, again, sizeof(again), &size) == 0);
    MOOT_ASSERT(moot_vector_decode(moot_slice_make(again, size), &b) == 0);
    MOOT_ASSERT(moot_vector_compare(&a, &b) == MOOT_ORDER_EQUAL);
    (void)moot_vector_tick(&a, 7, 7);
    if (moot_vector_decode(second, &b) == 0) {
        enum moot_order order = moot_vector_compare(&a, &b);
        enum moot_order back = moot_vector_compare(&b, &a);
        MOOT_ASSERT((order == MOOT_ORDER_BEFORE) == (back == MOOT_ORDER_AFTER));
        (void)moot_vector_merge(&a, &b, 7);
        MOOT_ASSERT(moot_vector_is_valid(&a));
    }
}

static void version(struct moot_slice bytes, struct moot_slice second)
{
    struct moot_version a;
    struct moot_version b;
    int status = moot_version_decode(bytes, 0, &a);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    MOOT_ASSERT(moot_version_is_valid(&a));
    if (moot_version_decode(second, 0, &b) == 0 && moot_version_merge(&a, &b) == 0) {
        MOOT_ASSERT(moot_version_is_valid(&a));
        enum moot_order order = moot_version_compare(&b, &a);
        MOOT_ASSERT(order == MOOT_ORDER_BEFORE || order == MOOT_ORDER_EQUAL);
    }
    struct moot_siblings siblings = {0};
    struct moot_dot dot;
    status = moot_siblings_write(&siblings, &a, 7, 7, &dot);
    MOOT_ASSERT(status == 0 || status == MOOT_EREFUSED || status == MOOT_ELIMIT);
}

static void siblings(struct moot_slice bytes, struct moot_slice second)
{
    struct moot_siblings a;
    struct moot_siblings b;
    int status = moot_siblings_decode(bytes, &a);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    uint8_t again[MOOT_SIBLINGS_BYTES_MAX];
    size_t size;
    MOOT_ASSERT(moot_siblings_encode(&a, again, sizeof(again), &size) == 0);
    MOOT_ASSERT(moot_siblings_decode(moot_slice_make(again, size), &b) == 0);
    MOOT_ASSERT(moot_siblings_equal(&a, &b));
    for (uint32_t i = 0; i < a.value_count; i++) {
        MOOT_ASSERT(moot_siblings_dot(&a, i).counter > 0);
    }
    if (moot_siblings_decode(second, &b) == 0 && moot_siblings_sync(&a, &b) == 0) {
        MOOT_ASSERT(moot_siblings_is_valid(&a));
    }
    struct moot_version context;
    moot_siblings_context(&a, &context);
    MOOT_ASSERT(moot_siblings_remove(&a, &context) == 0);
    MOOT_ASSERT(a.value_count == 0);
    struct moot_dot dot;
    status = moot_siblings_write(&a, &context, 7, 7, &dot);
    MOOT_ASSERT(status == 0 || status == MOOT_ELIMIT);
}

static void dotted(struct moot_slice bytes)
{
    struct moot_dotted a;
    int status = moot_dotted_decode(bytes, &a);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    MOOT_ASSERT(moot_dotted_compare(&a, &a) == MOOT_ORDER_EQUAL);
    uint8_t again[MOOT_DOTTED_BYTES_MAX];
    size_t size;
    MOOT_ASSERT(moot_dotted_encode(&a, again, sizeof(again), &size) == 0);
}

static void hybrid(struct moot_slice bytes)
{
    moot_hlc_stamp stamp;
    struct moot_hlc_wide wide;
    if (moot_hlc_decode(bytes, &stamp) == 0) {
        struct moot_hlc clock;
        moot_hlc_init(&clock, UINT64_MAX, 0);
        int status = moot_hlc_observe(&clock, 1, stamp);
        MOOT_ASSERT(status == MOOT_EREFUSED || moot_hlc_next(&clock, 1) > stamp);
    }
    int status = moot_hlc_wide_decode(bytes, &wide);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    struct moot_hlc_wide_clock clock;
    struct moot_hlc_wide receipt;
    moot_hlc_wide_init(&clock, 1, UINT64_MAX, (struct moot_hlc_wide){0});
    status = moot_hlc_wide_receive(&clock, 1, wide, &receipt);
    MOOT_ASSERT(status == MOOT_EREFUSED || moot_hlc_wide_compare(receipt, wide) > 0);
    (void)moot_hlc_from_wide(wide);
}

static void bounded(struct moot_slice bytes, struct moot_slice second)
{
    static const struct moot_bounded_options options = {
        .age_max = {MOOT_SEC_NS}, .error_max_ns = 3600 * MOOT_SEC_NS, .drift_ppm = 200};
    struct moot_bounded clock;
    struct moot_bounded_reading reading;
    struct moot_bounded_interval interval;
    moot_bounded_init(&clock, &options, 0);
    struct moot_instant now = {0};
    int status = moot_bounded_reading_decode(bytes, &reading);
    if (status != 0) {
        expect_refusal(status);
        return;
    }
    for (int i = 0; i < 2; i++) {
        (void)moot_bounded_feed(&clock, now, &reading);
        uint64_t stamp_ns;
        if (moot_bounded_commit(&clock, now, &stamp_ns) == 0) {
            (void)moot_bounded_wait(&clock, now, stamp_ns);
        }
        if (moot_bounded_interval_decode(second, &interval) == 0) {
            (void)!moot_bounded_check(&clock, now, interval);
            (void)moot_bounded_wait(&clock, now, interval.latest_ns);
        } else if (moot_bounded_reading_decode(second, &reading) != 0) {
            return;
        }
        now.ns += MOOT_MSEC_NS;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    /* The first byte chooses, the second cuts the rest in two. */
    size_t rest = size - 2;
    size_t cut = rest * data[1] / 255;
    struct moot_slice first = moot_slice_make(data + 2, cut);
    struct moot_slice second = moot_slice_make(data + 2 + cut, rest - cut);
    switch (data[0] % 7) {
    case 0:
        lamport(first);
        break;
    case 1:
        vector(first, second);
        break;
    case 2:
        version(first, second);
        break;
    case 3:
        siblings(first, second);
        break;
    case 4:
        dotted(first);
        break;
    case 5:
        hybrid(first);
        break;
    default:
        bounded(first, second);
    }
    return 0;
}
