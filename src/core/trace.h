/* The trace switch: SANDLOCK_TRACE=call,flow,tls,http (or all) tells what the programs do, a line
 * an event, on standard error or at the end of the file SANDLOCK_TRACE_FILE. docs/debugging.md
 * shows it.
 *
 * Names, addresses, numbers, states and verdicts are told; never a body, the value of a field, an
 * argument of the command, or a secret. Nothing decides by it. */
#ifndef SANDLOCK_CORE_TRACE_H
#define SANDLOCK_CORE_TRACE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "core/err.h"

#define SL_TRACE_ENV      "SANDLOCK_TRACE"
#define SL_TRACE_FILE_ENV "SANDLOCK_TRACE_FILE"
#define SL_TRACE_LINE_MAX 1024 /* bytes, with the end of the line; what is longer ends in "..." */

enum sl_trace_topic {
    SL_TRACE_CALL = 1 << 0, /* a trapped call: who, which, the answer */
    SL_TRACE_FLOW = 1 << 1, /* a name or connection: the verdict, and the states it goes through */
    SL_TRACE_TLS = 1 << 2,  /* handshakes, certificates, roots */
    SL_TRACE_HTTP = 1 << 3, /* a request: the verdict, the states of both sides */
    SL_TRACE_ALL = (1 << 4) - 1,
};

/* Reads only: what is on. Written by the functions below. */
extern atomic_uint sl_trace_on;

static inline bool sl_trace_is_on(enum sl_trace_topic topic)
{
    return __builtin_expect(
               atomic_load_explicit(&sl_trace_on, memory_order_relaxed) & (unsigned)topic, 0) != 0;
}

/* SL_TRACE(SL_TRACE_FLOW, "connect '%s': %s", host, verdict). The arguments are evaluated only
 * while the topic is on. Text of the command or the network goes in as it is, in single quotes: the
 * line is made safe as a whole. */
#define SL_TRACE(topic, ...)                                                                       \
    do {                                                                                           \
        if (sl_trace_is_on(topic)) {                                                               \
            sl_trace_write(topic, __VA_ARGS__);                                                    \
        }                                                                                          \
    } while (0)

/* One line by one write(2): the monotonic time, program, process, topic, then the text. From any
 * thread; keeps errno. A line that cannot be written is lost. Not async-signal-safe. */
void sl_trace_write(enum sl_trace_topic topic, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Switches on what the comma list names; NULL and "" are nothing. `file` (NULL and "": standard
 * error) is created 0600 or written on. `who` begins the lines; a constant. Before other threads
 * exist. 0 or -errno; an unknown word is a usage error that names the known ones. */
int sl_trace_open(const char *topics, const char *file, const char *who, sl_error *err);

/* The same for a process that was given the descriptor, which from now on is owned here; with no
 * known topic it is closed. */
void sl_trace_adopt(unsigned topics, int fd, const char *who);

/* After a fork: the lines tell the new process. */
void sl_trace_rename(const char *who);

/* What to hand to another program: the topics that are on, and the descriptor, which stays owned
 * here; 0 and -1 when nothing is. */
unsigned sl_trace_topics(void);
int sl_trace_fd(void);

void sl_trace_close(void);

#endif
