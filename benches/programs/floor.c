// The floor under a loader: the plain bytes of a program, written to a memory file and executed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv, char **envp) {
    struct stat info;
    int in = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
    int out = memfd_create("floor", MFD_CLOEXEC);
    if (in < 0 || out < 0 || fstat(in, &info) != 0)
        return 121;
    char *bytes = mmap(NULL, info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, in, 0);
    if (bytes == MAP_FAILED)
        return 122;
    for (off_t done = 0; done < info.st_size;) {
        ssize_t more = write(out, bytes + done, info.st_size - done);
        if (more <= 0)
            return 123;
        done += more;
    }
    fexecve(out, argv + 1, envp);
    return 124;
}
