/* Starts a program that may not make memory executable. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (prctl(65 /* PR_SET_MDWE */, 1, 0, 0, 0)) { perror("PR_SET_MDWE"); return 99; }
    char *path = argv[1], *slash = strrchr(path, '/');
    argv[1] = slash + 1;
    execv(path, argv + 1);
    perror("execv");
    return 98;
}
