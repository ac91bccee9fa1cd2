/* Bytes from one socket to another through a pipe, without passing our memory (splice(2)). */
#ifndef SANDLOCK_NET_SPLICE_H
#define SANDLOCK_NET_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SL_SPLICE_PIPES_MAX 256 /* at once; others copy */
/* Larger takes less CPU, but then source and sink wait for each other. */
#define SL_SPLICE_PIPE_SIZE (256 << 10)

typedef struct sl_splice {
    int in; /* where the pipe is read */
    int out;
    size_t held; /* bytes in the pipe */
} sl_splice;

#define SL_SPLICE_NONE ((sl_splice){.in = -1, .out = -1})

static inline bool sl_splice_is_open(const sl_splice *s)
{
    return s->in >= 0;
}

/* 0, -ENOBUFS (too many already), or -errno. */
int sl_splice_open(sl_splice *s);
void sl_splice_close(sl_splice *s);

typedef struct sl_splice_moved {
    uint64_t taken;     /* from the source */
    uint64_t delivered; /* to the sink */
    bool want_read;     /* stopped because the source has no more now */
    bool want_write;    /* stopped because the sink is full */
    bool end;           /* the source ended */
    int error_in;       /* negative errno of the source, or 0 */
    int error_out;
} sl_splice_moved;

/* Moves at most `max` new bytes, in one go of at most `budget`. */
void sl_splice_move(sl_splice *s, int from, int to, uint64_t max, uint64_t budget,
                    sl_splice_moved *ret);

#endif
