/* Shows a program another time: the machine's, and as many seconds more or less as stand in the
   file that STRONGROOM_CLOCK_FILE names. */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long offset_s(void) {
    const char *path = getenv("STRONGROOM_CLOCK_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    long seconds = 0;
    if (!file || fscanf(file, "%ld", &seconds) != 1)
        abort();
    fclose(file);
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    long done = syscall(SYS_clock_gettime, clock, time);
    if (done == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += offset_s();
    return (int)done;
}
