#include "wire/admission.h"

#include "base/assert.h"
#include "base/codec.h"

static void seal(const struct moot_admission *admission, const struct moot_buffer *message,
                 uint8_t out[MOOT_MAC_BYTES])
{
    MOOT_ASSERT(admission->mac.compute != NULL);
    MOOT_ASSERT(admission->secret.size > 0);
    admission->mac.compute(admission->mac.context, admission->secret, moot_buffer_slice(message),
                           out);
}

void moot_admission_nonce(const struct moot_admission *admission, moot_node_id node,
                          uint64_t incarnation, uint64_t counter, uint8_t out[MOOT_MAC_BYTES])
{
    MOOT_ASSERT(counter > 0);
    struct moot_buffer message;
    moot_buffer_init(&message);
    moot_put_bytes(&message, MOOT_SLICE_LITERAL("moot admission nonce 1"));
    moot_put_u32(&message, node);
    moot_put_u64(&message, incarnation);
    moot_put_u64(&message, counter);
    seal(admission, &message, out);
    moot_buffer_deinit(&message);
}

void moot_admission_proof(const struct moot_admission *admission,
                          const uint8_t nonce[MOOT_MAC_BYTES], struct moot_slice peer,
                          struct moot_slice client, uint8_t out[MOOT_MAC_BYTES])
{
    struct moot_buffer message;
    moot_buffer_init(&message);
    moot_put_bytes(&message, MOOT_SLICE_LITERAL("moot admission proof 1"));
    moot_put_bytes(&message, moot_slice_make(nonce, MOOT_MAC_BYTES));
    moot_put_bytes(&message, peer);
    moot_put_bytes(&message, client);
    seal(admission, &message, out);
    moot_buffer_deinit(&message);
}

bool moot_admission_equal(const uint8_t left[MOOT_MAC_BYTES], const uint8_t right[MOOT_MAC_BYTES])
{
    uint8_t difference = 0;
    for (size_t i = 0; i < MOOT_MAC_BYTES; i++) {
        difference |= (uint8_t)(left[i] ^ right[i]);
    }
    return difference == 0;
}

void moot_admission_to_hex(const uint8_t bytes[MOOT_MAC_BYTES], char out[MOOT_ADMISSION_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < MOOT_MAC_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static int digit_of(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool moot_admission_from_hex(struct moot_slice hex, uint8_t out[MOOT_MAC_BYTES])
{
    if (hex.size != MOOT_ADMISSION_HEX) {
        return false;
    }
    for (size_t i = 0; i < MOOT_MAC_BYTES; i++) {
        int high = digit_of(hex.data[2 * i]);
        int low = digit_of(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
