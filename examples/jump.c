/* Jump consistent hash beside modulo: what moves when bucket n+1 is added. */
#include <stdio.h>

#include "moot/jump.h"

enum { KEYS = 100000 };

int main(void)
{
    static const uint32_t sizes[] = {2, 10, 100, 1000};
    printf("buckets       jump moves   modulo moves   the least\n");
    for (size_t s = 0; s < MOOT_ARRAY_LEN(sizes); s++) {
        uint32_t n = sizes[s];
        uint32_t jump = 0;
        uint32_t modulo = 0;
        for (uint32_t i = 0; i < KEYS; i++) {
            char text[32];
            int size = snprintf(text, sizeof(text), "key %u", i);
            uint64_t key = moot_place_key((struct moot_slice){(const uint8_t *)text, (size_t)size});
            jump += moot_jump_bucket(key, n) != moot_jump_bucket(key, n + 1);
            modulo += moot_modulo_bucket(key, n) != moot_modulo_bucket(key, n + 1);
        }
        printf("%4u -> %4u  %9.2f %%   %10.2f %%   %7.2f %%\n", n, n + 1, 100.0 * jump / KEYS,
               100.0 * modulo / KEYS, 100.0 / (n + 1));
    }
    return 0;
}
