/* Holds a secret in its image and tells where, then waits for its input to end, or crashes if told to. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char secret[] = "the secret text of the vendor";

int main(int argc, char **argv) {
    char byte;
    if (argc > 1 && !strcmp(argv[1], "crash")) *(volatile int *)0 = 1;
    printf("%lx\n", (unsigned long)secret);
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {}
    return 0;
}
