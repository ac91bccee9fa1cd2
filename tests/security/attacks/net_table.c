/* HOST PORT: a thread with a descriptor table of its own. Only TCP to HOST:PORT is allowed.
 *   "thread_udp": the leader's fd is TCP, the thread's is UDP: must be judged as UDP
 *   "thread_tcp": the other way round: the thread's connection must work */
#include "attack.h"

#include <pthread.h>
#include <sched.h>

static place to;
static int slot = 50;

static void *own_table(void *arg)
{
    int type = *(int *)arg;
    if (unshare(CLONE_FILES)) {
        report("unshare", -1);
        return NULL;
    }
    int fd = socket(AF_INET, type, 0);
    dup2(fd, slot);
    report(type == SOCK_DGRAM ? "thread_udp" : "thread_tcp", connect(slot, place_sa(&to), to.len));
    if (type == SOCK_DGRAM) {
        report("thread_send", send(slot, "x", 1, 0));
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    to = place_of(argv[1], argv[2]);
    static int types[2] = {SOCK_DGRAM, SOCK_STREAM};
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        struct sockaddr_storage peer;
        socklen_t len = sizeof(peer);
        int fd = socket(AF_INET, types[!i], 0);
        dup2(fd, slot);
        pthread_create(&thread, NULL, own_table, &types[i]);
        pthread_join(thread, NULL);
        report("leader_peer", getpeername(slot, (struct sockaddr *)&peer, &len));
        close(fd);
    }
    return 0;
}
