/* Forks in the way its argument names. */
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int wait_for(pid_t child) { int status; waitpid(child, &status, 0); return status; }

int main(int argc, char **argv) {
    const char *how = argv[1];
    char byte;
    if (!strcmp(how, "fork")) {
        pid_t child = fork();
        if (!child) { puts("child"); return 4; }
        printf("status %x\n", wait_for(child));
    } else if (!strcmp(how, "grandchild")) {
        pid_t child = fork();
        if (!child) {
            pid_t inner = fork();
            if (!inner) { puts("grandchild"); return 5; }
            return wait_for(inner) >> 8;
        }
        printf("status %x\n", wait_for(child));
    } else if (!strcmp(how, "vfork")) {
        pid_t child = vfork();
        if (!child) { execl("/bin/echo", "echo", "spawned", NULL); _exit(1); }
        printf("status %x\n", wait_for(child));
    } else if (!strcmp(how, "spawn")) {
        pid_t child;
        char *args[] = {"echo", "spawned", NULL};
        posix_spawn(&child, "/bin/echo", NULL, NULL, args, environ);
        printf("status %x\n", wait_for(child));
    } else if (!strcmp(how, "daemon")) {
        /* stdout stays open, so that the test sees when the daemon ends; it lives until stdin does. */
        if (fork()) return 0;
        setsid();
        chdir("/");
        if (fork()) _exit(0);
        printf("daemon %d\n", getpid());
        fflush(stdout);
        while (read(0, &byte, 1) > 0) {}
        puts("daemon ends");
    } else if (!strcmp(how, "close")) {
        closefrom(3);
        pid_t child = fork();
        if (!child) return 6;
        printf("status %x\n", wait_for(child));
        while (read(0, &byte, 1) > 0) {}
    }
    return 0;
}
