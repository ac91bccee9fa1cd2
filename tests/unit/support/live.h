/* Live tests of the sandbox: the test program starts itself again, confined for real, as one of its
 * own small programs. Each run has a process of its own as its engine. */
#ifndef SANDLOCK_TESTS_LIVE_H
#define SANDLOCK_TESTS_LIVE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "policy/policy.h"
#include "sandbox/sandbox.h"

/* What one confined program does; 0 is success. It says on stderr what it did not find. */
struct live_program {
    const char *name;
    int (*main)(char **args);
};

/* In main: becomes the confined program when this is one (and does not return then), and skips the
 * test (77) when the kernel has no Landlock of the age we need. */
void live_start(int argc, char **argv, const struct live_program *programs);

#define LIVE_DENIED_MAX 64

/* What the engine's side saw; shared with the test. */
struct live_seen {
    int denied_count;
    uint16_t denied_ports[LIVE_DENIED_MAX];
};

struct live_run {
    const sl_policy *policy;
    const char *program;
    const char *args[8]; /* of the program, NULL-terminated */
    const char *canary;  /* NULL: a file of root's that no test grants */
    /* Between making the sandbox and starting the child; may be NULL. */
    void (*prepare)(sl_sandbox *sb, void *arg);
    void *arg;
    sl_supervisor_hooks hooks; /* `decided` is filled by us */
    /* what came of it */
    struct live_seen *seen; /* or NULL */
    char error[SL_ERROR_MESSAGE_MAX];
};

/* From now on in this test program: the kernel is taken for Linux 6.1. */
void live_pretend_older(void);

/* Runs it to its end: the program's exit status, 128 + its signal, or -1 with `error` when the
 * sandbox refused to start. */
int live_run(struct live_run *run);

/* A frozen policy of "field", "value" pairs up to NULL; fails the test when one is refused. */
sl_policy *live_policy(const char *field, ...);
/* The same pairs must be refused by sl_sandbox_new with these words in the message. */
void live_expect_refused(const sl_policy *policy, const char *words);

struct live_seen *live_seen_new(void); /* shared memory, freed with the process */

/* A witness: a socket on loopback, listening when SOCK_STREAM. */
int live_listen(int type, const char *addr, uint16_t *ret_port);
/* True if somebody connected or sent since; takes that one away. */
bool live_was_reached(int fd, int type);

/* For confined programs. */
struct sockaddr_in live_addr(const char *addr, const char *port);
int live_connect(const struct sockaddr_in *sa, int type); /* the socket, or -errno */
#define LIVE_CHECK(what)                                                                           \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            live_complain(#what, __FILE__, __LINE__);                                              \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)
void live_complain(const char *what, const char *file, int line);

#endif
