#include <stdio.h>

int main(void)
{
    puts("moot " MOOT_VERSION);
    return 0;
}
