/* Opens /proc/PID/mem of a program between its exec and its first instruction, lets it run untraced, and reads its secret. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int in[2], out[2], status;
    if (pipe(in) || pipe(out)) return 9;
    pid_t pid = fork();
    if (!pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        close(in[1]);
        close(out[0]);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execl(argv[1], argv[1], NULL);
        _exit(8);
    }
    close(out[1]);
    waitpid(pid, &status, 0);
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int mem = open(path, O_RDONLY);
    if (mem < 0) printf("mem %s\n", errno == EACCES ? "EACCES" : strerror(errno));
    ptrace(PTRACE_DETACH, pid, 0, 0);
    FILE *from = fdopen(out[0], "r");
    if (fgets(text, sizeof text, from) && mem >= 0) {
        char found[30] = "";
        ssize_t n = pread(mem, found, 29, strtoul(text, NULL, 16));
        printf("mem read %zd %s\n", n, n > 0 ? found : strerror(errno));
    }
    printf("address told %d\n", text[0] != 0);
    close(in[1]);
    waitpid(pid, &status, 0);
    return 0;
}
