/* Runs argv[1] under a filter that tells each system call, and counts those before the first one called from below 4 GiB:
 * the loader lies high, the program of the test low. Prints the numbers in order. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void send_fd(int to, int fd) {
    char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    *(int *)CMSG_DATA(header) = fd;
    sendmsg(to, &message, 0);
}

static int receive_fd(int from) {
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec io = {&byte, 1};
    struct msghdr message = {.msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    recvmsg(from, &message, 0);
    return *(int *)CMSG_DATA(CMSG_FIRSTHDR(&message));
}

int main(int argc, char **argv) {
    int pair[2], sync[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    if (pipe(sync)) return 9;
    pid_t pid = fork();
    if (!pid) {
        /* sendmsg, read and close of this helper itself are let through. */
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 1, 0),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {4, code};
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        int listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
        send_fd(pair[1], listener);
        fcntl(listener, F_SETFD, FD_CLOEXEC);
        fcntl(pair[0], F_SETFD, FD_CLOEXEC);
        fcntl(pair[1], F_SETFD, FD_CLOEXEC);
        execv(argv[1], argv + 1);
        _exit(98);
    }
    int listener = receive_fd(pair[0]), counting = 0, count = 0, done = 0;
    for (;;) {
        struct seccomp_notif request = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request)) { if (errno == EINTR) continue; break; }
        if (counting && !done) {
            if (request.data.instruction_pointer < 1UL << 32) { done = 1; printf("\ncalls %d\n", count); }
            else if (request.pid == pid) { count++; printf("%d ", request.data.nr); }
        }
        counting |= request.data.nr == SYS_execve;
        struct seccomp_notif_resp response = {.id = request.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &response);
        if (request.data.nr == SYS_exit_group && request.pid == pid) break;
    }
    close(listener);
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}
