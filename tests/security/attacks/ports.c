/* VERB ROUNDS PORT PORT: races against a bind(2) that is judged. The first port is granted, the
 * second is not.
 *   port  a thread rewrites the port in the address
 *   dup   a thread flips the descriptor between a TCP socket, a UDP socket and a Unix socket, while
 *         the port that is not granted is bound
 * Every socket that was bound listens, so that it can be told from outside. Prints "granted N" and
 * "other N": sockets that listen by each name. */
#include "attack.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static struct sockaddr_in shared;
static in_port_t ports[2];
static int sockets[3];
static atomic_int stop;
static atomic_int rounds_seen;
static const char *verb;
static const int slot = 200;

static void *flip(void *arg)
{
    for (unsigned i = 0; !atomic_load(&stop); i++) {
        if (strcmp(verb, "dup") == 0) {
            dup2(sockets[i % 3], slot);
        } else {
            *(volatile in_port_t *)&shared.sin_port = ports[i & 1];
        }
        atomic_fetch_add(&rounds_seen, 1);
    }
    return arg;
}

static int named(int fd)
{
    struct sockaddr_in sa = {0};
    socklen_t len = sizeof(sa);
    getsockname(fd, (struct sockaddr *)&sa, &len);
    return sa.sin_port == 0 ? -1 : sa.sin_port == ports[0] ? 0 : 1;
}

static void one_port(int counts[2])
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&shared, sizeof(shared)) == 0 && listen(fd, 1) == 0) {
        counts[named(fd) != 0]++;
    }
    close(fd);
}

static void one_dup(int counts[2])
{
    int one = 1;
    int type[3][2] = {{AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}};
    for (int i = 0; i < 3; i++) {
        int fd = socket(type[i][0], type[i][1], 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        dup2(fd, sockets[i]);
        close(fd);
    }
    bind(slot, (struct sockaddr *)&shared, sizeof(shared));
    int name = named(sockets[0]);
    if (name >= 0 && listen(sockets[0], 1) == 0) {
        counts[name]++;
    }
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    verb = argv[1];
    long rounds = strtol(argv[2], NULL, 10);
    int counts[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        place p = place_of("127.0.0.1", argv[3 + i]);
        memcpy(&shared, &p.addr, sizeof(shared));
        ports[i] = shared.sin_port;
    }
    for (int i = 0; i < 3; i++) {
        sockets[i] = 100 + i;
    }
    pthread_t thread;
    pthread_create(&thread, NULL, flip, NULL);
    while (atomic_load(&rounds_seen) == 0) {
        sched_yield();
    }
    for (long i = 0; i < rounds; i++) {
        strcmp(verb, "dup") == 0 ? one_dup(counts) : one_port(counts);
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    printf("granted %d\nother %d\n", counts[0], counts[1]);
    return 0;
}
