/* Ends in the way its argument names. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *later(void *unused) { usleep(300000); puts("later"); fflush(stdout); syscall(SYS_exit, 7); return 0; }

static int overflow(int n) { volatile char page[8192]; page[0] = n; return overflow(n + 1) + page[0]; }

int main(int argc, char **argv) {
    const char *how = argv[1];
    if (!strcmp(how, "null")) *(volatile int *)0 = 1;
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "overflow")) return overflow(0);
    if (!strcmp(how, "signal")) raise(atoi(argv[2]));
    if (!strcmp(how, "pthread_exit")) { puts("bye"); pthread_exit(NULL); }
    if (!strcmp(how, "raw")) { puts("bye"); fflush(stdout); syscall(SYS_exit, 9); }
    if (!strcmp(how, "thread")) { pthread_t made; pthread_create(&made, NULL, later, NULL); syscall(SYS_exit, 9); }
    if (!strcmp(how, "_exit")) _exit(5);
    return 3;
}
