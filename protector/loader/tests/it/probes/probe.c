/* Prints what a program sees of its process, without addresses, so that two runs can be compared. */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;
extern char _start[], _end[];
static __thread int thread_local_value = 42;
static int at_exit_calls;

static void on_exit_count(void) { printf("atexit %d\n", ++at_exit_calls); fflush(stdout); }

static int objects, main_headers;
static int each_object(struct dl_phdr_info *info, size_t size, void *unused) {
    if (objects++ == 0) main_headers = (unsigned long)info->dlpi_phdr == getauxval(AT_PHDR) && info->dlpi_phnum == getauxval(AT_PHNUM);
    return 0;
}

static void *thread(void *arg) { thread_local_value += *(int *)arg; return (void *)(long)thread_local_value; }

static int deep(int level) { volatile char page[4096]; page[0] = level; return level ? deep(level - 1) + page[0] - page[0] + 1 : 0; }

static void link_of(const char *path) {
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0) { printf("%s: none\n", path); return; }
    target[n] = 0;
    char *slash = strrchr(target, '/');
    printf("%s: %s\n", path, slash ? slash + 1 : target);
}

static void lines_of(const char *path, const char **keys) {
    char line[1024];
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        for (const char **key = keys; *key; key++)
            if (!strncmp(line, *key, strlen(*key))) fputs(line, stdout);
    if (file) fclose(file);
}

/* Kernels place such a program among libraries and its heap elsewhere. */
static int loaded_by_kernel_as_loader(void) { return getauxval(AT_BASE) == 0 && (unsigned long)_start >> 32; }

static void heap(void) {
    unsigned long code[2], stack, data[2], brk, args[2], env[2];
    char text[2048];
    FILE *file = fopen("/proc/self/stat", "r");
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    char *at = strrchr(text, ')') + 2;
    for (int field = 3; at && field <= 51; field++) {
        unsigned long value = strtoul(at, NULL, 10);
        if (field == 26 || field == 27) code[field - 26] = value;
        if (field == 28) stack = value;
        if (field == 45 || field == 46) data[field - 45] = value;
        if (field == 47) brk = value;
        if (field == 48 || field == 49) args[field - 48] = value;
        if (field == 50 || field == 51) env[field - 50] = value;
        at = strchr(at, ' ');
        if (at) at++;
    }
    if (getuid() == 0)
        printf("stat: code %d data %d heap %d behind %d args %lu env %lu stack %d\n", code[0] <= (unsigned long)_start && (unsigned long)_start < code[1],
               data[0] < data[1], brk <= (unsigned long)sbrk(0), brk >= (unsigned long)_end || loaded_by_kernel_as_loader(), args[1] - args[0], env[1] - env[0],
               stack <= (unsigned long)environ);
    void *before = sbrk(4096 * 3);
    printf("sbrk %d\n", before != (void *)-1 && sbrk(0) == (char *)before + 4096 * 3);
}

static void signals(void) {
    stack_t alt;
    sigset_t mask;
    int other = 0, blocked = 0;
    sigaltstack(NULL, &alt);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s < 65; s++) {
        struct sigaction act;
        if (sigaction(s, NULL, &act) == 0 && act.sa_handler != SIG_DFL) { other++; printf("signal %d is not default\n", s); }
        blocked += sigismember(&mask, s) == 1;
    }
    printf("altstack %d handlers %d blocked %d\n", !(alt.ss_flags & SS_DISABLE), other, blocked);
}

int main(int argc, char **argv) {
    atexit(on_exit_count);
    for (int i = 0; i < argc; i++) printf("arg %s\n", argv[i]);
    for (char **e = environ; *e; e++) printf("env %s\n", *e);
    printf("stack aligned %d\n", (((unsigned long)argv - 8) & 15) == 0);
    printf("secure %lu page %lu ent %lu num %lu entry %d\n", getauxval(AT_SECURE), getauxval(AT_PAGESZ), getauxval(AT_PHENT), getauxval(AT_PHNUM),
           getauxval(AT_ENTRY) == (unsigned long)_start);
    unsigned char *secret = (unsigned char *)getauxval(AT_RANDOM);
    int sum = 0;
    for (int i = 0; i < 16; i++) sum |= secret[i];
    printf("random %d vdso %d platform %s base %d\n", sum != 0, getauxval(AT_SYSINFO_EHDR) != 0, (char *)getauxval(AT_PLATFORM), getauxval(AT_BASE) != 0);
    const char *execfn = strrchr((char *)getauxval(AT_EXECFN), '/');
    printf("execfn %s\n", execfn ? execfn + 1 : (char *)getauxval(AT_EXECFN));
    dl_iterate_phdr(each_object, NULL);
    printf("objects %d headers %d\n", objects, main_headers);
    printf("rseq size %u registered %d\n", __rseq_size, __rseq_size && (int)((struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset))->cpu_id >= 0);
    pthread_t made;
    int add = 8;
    void *result;
    pthread_create(&made, NULL, thread, &add);
    pthread_join(made, &result);
    printf("tls %d thread %ld deep %d\n", thread_local_value, (long)result, deep(1000));
    signals();
    heap();
    link_of("/proc/self/exe");
    link_of("/proc/self/cwd");
    lines_of("/proc/self/status", (const char *[]){"Name:", "Umask:", "State:", "Uid:", "Gid:", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "ShdPnd", "Cap", "NoNewPrivs:", "Seccomp:", "Cpus_allowed:", NULL});
    char text[4096];
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t n = file ? fread(text, 1, sizeof text, file) : 0;
    for (size_t i = 0; i < n; i++) putchar(text[i] ? text[i] : '|');
    putchar('\n');
    if (file) fclose(file);
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; dir && (entry = readdir(dir));) if (entry->d_name[0] != '.') printf("fd %s\n", entry->d_name);
    if (dir) closedir(dir);
    struct rlimit core;
    getrlimit(RLIMIT_CORE, &core);
    printf("core limit %ld\n", (long)core.rlim_cur);
    if (argc > 1 && !strcmp(argv[1], "copy")) while ((n = fread(text, 1, sizeof text, stdin)) > 0) fwrite(text, 1, n, stdout);
    fputs("last words\n", stderr);
    return argc > 2 ? atoi(argv[2]) : 0;
}
