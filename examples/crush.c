/* CRUSH: twelve disks in three racks; copies in different racks; then a disk is out. */
#include <stdio.h>

#include "moot/crush.h"

enum { DISK, HOST, RACK, ROOT, KEYS = 30000 };

int main(void)
{
    static struct moot_crush_item items[64];
    static struct moot_crush_rule rule = {MOOT_CRUSH_FIRST_N, 1, {{RACK, 2}}};
    static moot_node_id before[KEYS][2];
    struct moot_crush map;
    uint32_t place[13];
    moot_node_id disk = 0;
    moot_crush_init(&map, items, 64, ROOT);
    for (uint32_t r = 0; r < 3; r++) {
        uint32_t rack;
        uint32_t host;
        if (moot_crush_add(&map, MOOT_CRUSH_ROOT, RACK, r, 0, &rack) != 0) {
            return 1;
        }
        for (uint32_t d = 0; d < 4; d++) {
            if (d % 2 == 0 && moot_crush_add(&map, rack, HOST, 2 * r + d / 2, 0, &host) != 0) {
                return 1;
            }
            disk += 1;
            if (moot_crush_add(&map, host, DISK, disk, 100, &place[disk]) != 0) {
                return 1;
            }
        }
    }
    uint32_t counts[13] = {0};
    moot_node_id out[MOOT_PLACE_REPLICAS_MAX];
    for (uint32_t key = 0; key < KEYS; key++) {
        (void)moot_crush_select(&map, &rule, key, out);
        before[key][0] = out[0];
        before[key][1] = out[1];
        counts[out[0]] += 1;
        counts[out[1]] += 1;
    }
    printf("two copies of %d keys, in two racks of three:\n", KEYS);
    for (disk = 1; disk <= 12; disk++) {
        printf("  rack %u host %u disk %2u: %5u\n", (disk - 1) / 4, (disk - 1) / 2, disk,
               counts[disk]);
    }
    if (moot_crush_set_accept(&map, place[5], 0) != 0) {
        return 1;
    }
    uint32_t moved = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        (void)moot_crush_select(&map, &rule, key, out);
        moved += (out[0] != before[key][0]) + (out[1] != before[key][1]);
    }
    printf("disk 5 is out: %u copies moved; it had %u\n", moved, counts[5]);
    return 0;
}
