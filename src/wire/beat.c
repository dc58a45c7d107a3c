#include "wire/beat.h"

#include "base/assert.h"
#include "base/codec.h"

void moot_beat_encode(const struct moot_beat *beat, uint8_t out[MOOT_BEAT_BYTES])
{
    MOOT_ASSERT(beat->kind >= MOOT_BEAT_ASK && beat->kind <= MOOT_BEAT_REMOVED);
    out[0] = MOOT_BEAT_MARK;
    out[1] = MOOT_BEAT_VERSION;
    out[2] = (uint8_t)beat->kind;
    moot_store_le64(out + 3, beat->number);
    moot_store_le32(out + 11, beat->others_us);
}

bool moot_beat_decode(struct moot_slice message, struct moot_beat *out)
{
    if (message.size != MOOT_BEAT_BYTES || message.data[0] != MOOT_BEAT_MARK ||
        message.data[1] != MOOT_BEAT_VERSION || message.data[2] < MOOT_BEAT_ASK ||
        message.data[2] > MOOT_BEAT_REMOVED) {
        return false;
    }
    out->kind = (enum moot_beat_kind)message.data[2];
    out->number = moot_load_le64(message.data + 3);
    out->others_us = moot_load_le32(message.data + 11);
    return true;
}
