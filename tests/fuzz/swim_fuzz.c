/* Packets of other members: any bytes, in any order, with time passing between them. Each input is
 * a run of packets: size u16, then bytes. */
#include <stdlib.h>

#include "base/codec.h"
#include "moot/swim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CAPACITY = 6 };
    static uint64_t memory[16384];
    if (moot_swim_memory(CAPACITY) > sizeof(memory)) {
        abort();
    }
    struct moot_swim_config config = {.self = 1, .address = {.size = 1}, .incarnation = 1};
    struct moot_swim *swim;
    struct moot_swim_out out;
    if (moot_swim_init(&config, CAPACITY, memory, sizeof(memory), (struct moot_instant){1},
                       &swim) != 0) {
        abort();
    }
    struct moot_reader reader = moot_reader_make((struct moot_slice){data, size});
    uint64_t now = 1;
    while (moot_reader_left(&reader) > 2) {
        size_t want = moot_get_u16(&reader);
        size_t left = moot_reader_left(&reader);
        struct moot_slice packet = moot_get_raw(&reader, want < left ? want : left);
        now += MOOT_SEC_NS / 3;
        (void)moot_swim_receive(swim, (struct moot_instant){now}, packet, &out);
        moot_swim_tick(swim, (struct moot_instant){now}, &out);
        moot_swim_check(swim);
        struct moot_swim_change change;
        while (moot_swim_next_change(swim, &change)) {
        }
    }
    return 0;
}
