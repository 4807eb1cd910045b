/* Keeps all processors busy until it is ended. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void *spin(void *unused) { for (volatile long n = 0;; n++) {} return 0; }

int main(void) {
    pthread_t made;
    for (long n = sysconf(_SC_NPROCESSORS_ONLN); n > 1; n--) pthread_create(&made, NULL, spin, NULL);
    puts("busy");
    fflush(stdout);
    spin(NULL);
}
