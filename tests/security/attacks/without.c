/* NUMBER[,NUMBER...] COMMAND...: runs the command where these system calls are missing (ENOSYS), as
 * on an older kernel. "0@NUMBER": the call answers 0 instead. */
#include "attack.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

#define CALLS_MAX 16

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
        bool zero = strncmp(at, "0@", 2) == 0;
        unsigned number = (unsigned)strtoul(at + (zero ? 2 : 0), &at, 10);
        at += *at == ',';
        code[len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
        code[len++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (zero ? 0 : (unsigned)ENOSYS));
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
