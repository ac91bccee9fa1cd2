/* The two pipes between guardian and engine: signals to pass on one way and, in an interactive run,
 * news of the command the other. */
#ifndef SANDLOCK_ENGINE_WIRE_H
#define SANDLOCK_ENGINE_WIRE_H

#include <stdbool.h>

typedef struct sl_wire {
    int signals[2]; /* guardian to engine: a byte is a signal to pass on */
    int news[2];    /* engine to guardian: enum sl_news; -1: no terminal between */
} sl_wire;

enum sl_news { SL_NEWS_STARTED = 's', SL_NEWS_ENDED = 'e' };

/* On the signal pipe: the caller's terminal is as it was. No signal has this number. */
#define SL_WIRE_RESTORED 0

/* No pipe yet. */
void sl_wire_init(sl_wire *wire);
/* Before the fork. 0 or -errno. */
int sl_wire_open(sl_wire *wire, bool with_news);
void sl_wire_done(sl_wire *wire);

/* In the forked engine; and in a guardian that listens for news. */
void sl_wire_keep_engine(sl_wire *wire);
void sl_wire_keep_guardian(sl_wire *wire);

/* The guardian's. Never waits. */
void sl_wire_pass_on(const sl_wire *wire, int sig);
/* One news, waited for; SL_NEWS_ENDED as well when the engine is gone. 0: none, try again. */
int sl_wire_read_news(const sl_wire *wire);
/* The guardian's: no news is to come any more. */
void sl_wire_close_news(sl_wire *wire);

/* The engine's. Nothing without a terminal between. */
void sl_wire_tell(const sl_wire *wire, enum sl_news news);
/* Waits until the guardian has given the terminal back. False: it is dead, and has not. */
bool sl_wire_await_restored(const sl_wire *wire, int timeout_ms);

#endif
