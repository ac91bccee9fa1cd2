/* Bytes that look random and are the same in every run: ChaCha20 (RFC 8439 §2.3) with a key of its
 * own for each stream. For repetition, not for secrecy: who has the seed has all. */
#ifndef SANDLOCK_FEATURES_REPEAT_STREAM_H
#define SANDLOCK_FEATURES_REPEAT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#define SL_STREAM_KEY   32
#define SL_STREAM_BLOCK 64

/* What a key is made for out of another. */
enum sl_stream_use {
    SL_STREAM_BYTES, /* the stream itself */
    SL_STREAM_CHILD, /* of the n-th process that was born */
    SL_STREAM_EXEC,  /* of the program that follows in the same process */
    SL_STREAM_AUXV,  /* AT_RANDOM */
    SL_STREAM_OPEN,  /* of the n-th open of /dev/random */
    SL_STREAM_SEED,
    SL_STREAM_LOST, /* of processes whose memory cannot be read */
};

/* One block: of `key`, for `use`, number `n`. */
void sl_stream_block(const uint8_t key[SL_STREAM_KEY], enum sl_stream_use use, uint64_t n,
                     uint8_t ret_block[SL_STREAM_BLOCK]);

/* The key that a seed means. Numbers and texts alike are the text as it was given. */
void sl_stream_seed(const char *seed, uint8_t ret_key[SL_STREAM_KEY]);

/* May be the same place. */
void sl_stream_derive(const uint8_t key[SL_STREAM_KEY], enum sl_stream_use use, uint64_t n,
                      uint8_t ret_key[SL_STREAM_KEY]);

/* `len` bytes of the stream from its `pos`-th on. */
void sl_stream_read(const uint8_t key[SL_STREAM_KEY], uint64_t pos, uint8_t *to, size_t len);

#endif
