/* Sends a signal to one thread: process, thread, signal. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) { return syscall(SYS_tgkill, atoi(argv[1]), atoi(argv[2]), atoi(argv[3])) ? 1 : 0; }
