/* NUMBER[,NUMBER...] COMMAND...: runs the command where these system calls are missing (ENOSYS), as
 * on an older kernel. "ERRNO@NUMBER": the call fails with this errno, as under a container's
 * profile
 * ("1@": EPERM); with 0 it answers 0. */
#include "attack.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define CALLS_MAX 64

int main(int argc, char **argv)
{
    struct sock_filter code[2 * CALLS_MAX + 2];
    unsigned short len = 0;
    if (argc < 3) {
        return 2;
    }
    code[len++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    char *at = argv[1];
    for (int i = 0; i < CALLS_MAX && *at; i++) {
        unsigned error = ENOSYS;
        unsigned number = (unsigned)strtoul(at, &at, 10);
        if (*at == '@') {
            error = number;
            number = (unsigned)strtoul(at + 1, &at, 10);
        }
        at += *at == ',';
        code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    }
    code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {len, code};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("seccomp");
        return 2;
    }
    execvp(argv[2], argv + 2);
    perror(argv[2]);
    return 2;
}
