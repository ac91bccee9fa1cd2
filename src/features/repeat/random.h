/* What the parts of random_seed say to each other. */
#ifndef SANDLOCK_FEATURES_REPEAT_RANDOM_H
#define SANDLOCK_FEATURES_REPEAT_RANDOM_H

#include "features/repeat/image.h"
#include "features/repeat/stream.h"

#define SL_RANDOM_OPENS_MAX 1024 /* of /dev/random and /dev/urandom at once; then ENFILE */

struct sl_supervisor;
struct sl_random_pipes;

/* A new image: its stream and its AT_RANDOM (random.c). */
int sl_random_meet(const sl_call *call, const sl_image *image);

/* A pipe out of which the bytes of a stream come without end (random_pipe.c). The reader's end, or
 * -errno. The first call begins a thread. */
int sl_random_pipe(struct sl_random_pipes **pipes, const uint8_t key[SL_STREAM_KEY]);
void sl_random_pipes_free(struct sl_random_pipes *pipes);

#endif
