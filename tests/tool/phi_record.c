/* Records the gaps between heartbeats on the loopback: phi_record COUNT PERIOD_MS. Two processes,
 * one UDP socket each; one gap in microseconds a line. tests/data/phi/loopback.txt was made by it.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int send_all(const struct sockaddr_in *to, long count, long period_ms)
{
    int out = socket(AF_INET, SOCK_DGRAM, 0);
    for (long i = 0; i <= count; i++) {
        struct timespec gap = {period_ms / 1000, period_ms % 1000 * 1000000};
        if (sendto(out, &i, sizeof(i), 0, (const struct sockaddr *)to, sizeof(*to)) < 0) {
            return 1;
        }
        nanosleep(&gap, NULL);
    }
    return 0;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
    long period_ms = argc > 2 ? strtol(argv[2], NULL, 10) : 10;
    int in = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(here);
    if (in < 0 || bind(in, (struct sockaddr *)&here, size) != 0 ||
        getsockname(in, (struct sockaddr *)&here, &size) != 0) {
        perror("phi_record");
        return 1;
    }
    fflush(stdout);
    pid_t sender = fork();
    if (sender == 0) {
        _exit(send_all(&here, count, period_ms));
    }
    struct timeval limit = {10, 0};
    setsockopt(in, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    long long last_us = -1;
    for (long i = 0; i <= count; i++) {
        long number;
        if (recv(in, &number, sizeof(number), 0) != sizeof(number)) {
            break;
        }
        long long us = now_us();
        if (last_us >= 0) {
            printf("%lld\n", us - last_us);
        }
        last_us = us;
    }
    return sender > 0 && waitpid(sender, NULL, 0) == sender ? 0 : 1;
}
