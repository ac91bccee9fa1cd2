/* A tree of processes as deep as asked; at the bottom everybody is signalled with 0, which walks
 * it, and one more process is asked for. */
#include "attack.h"

#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
    int depth = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    for (int i = 0; i < depth; i++) {
        int status;
        pid_t pid = fork();
        if (pid < 0) {
            break;
        }
        if (pid > 0) {
            waitpid(pid, &status, 0);
            _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        }
    }
    report("fork", fork());
    return report("kill", kill(-1, 0));
}
