/* Owns the generator. No state: who reads a stream knows how far it is. */
#include "features/repeat/stream.h"

#include <string.h>

#include "core/util.h"

static uint32_t rotate(uint32_t x, unsigned n)
{
    return (x << n) | (x >> (32 - n));
}

static void quarter(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

/* RFC 8439 §2.3: constants, key, counter and nonce; here a counter of 64 bits, and what the block
 * is for in the last word. */
void sl_stream_block(const uint8_t key[SL_STREAM_KEY], enum sl_stream_use use, uint64_t n,
                     uint8_t ret_block[SL_STREAM_BLOCK])
{
    uint32_t in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    uint32_t x[16];
    for (size_t i = 0; i < 8; i++) {
        in[4 + i] = (uint32_t)key[4 * i] | (uint32_t)key[4 * i + 1] << 8 |
                    (uint32_t)key[4 * i + 2] << 16 | (uint32_t)key[4 * i + 3] << 24;
    }
    in[12] = (uint32_t)n;
    in[13] = (uint32_t)(n >> 32);
    in[15] = (uint32_t)use;
    memcpy(x, in, sizeof(x));
    for (int round = 0; round < 10; round++) {
        quarter(&x[0], &x[4], &x[8], &x[12]);
        quarter(&x[1], &x[5], &x[9], &x[13]);
        quarter(&x[2], &x[6], &x[10], &x[14]);
        quarter(&x[3], &x[7], &x[11], &x[15]);
        quarter(&x[0], &x[5], &x[10], &x[15]);
        quarter(&x[1], &x[6], &x[11], &x[12]);
        quarter(&x[2], &x[7], &x[8], &x[13]);
        quarter(&x[3], &x[4], &x[9], &x[14]);
    }
    for (size_t i = 0; i < 16; i++) {
        uint32_t word = x[i] + in[i];
        for (size_t k = 0; k < 4; k++) {
            ret_block[4 * i + k] = (uint8_t)(word >> (8 * k));
        }
    }
}

void sl_stream_derive(const uint8_t key[SL_STREAM_KEY], enum sl_stream_use use, uint64_t n,
                      uint8_t ret_key[SL_STREAM_KEY])
{
    uint8_t block[SL_STREAM_BLOCK];
    sl_stream_block(key, use, n, block);
    memcpy(ret_key, block, SL_STREAM_KEY);
}

void sl_stream_seed(const char *seed, uint8_t ret_key[SL_STREAM_KEY])
{
    uint8_t key[SL_STREAM_KEY] = {0};
    size_t len = strlen(seed);
    for (size_t at = 0; at < len; at += SL_STREAM_KEY) {
        for (size_t i = 0; i < SL_STREAM_KEY && at + i < len; i++) {
            key[i] ^= (uint8_t)seed[at + i];
        }
        sl_stream_derive(key, SL_STREAM_SEED, len, key);
    }
    memcpy(ret_key, key, SL_STREAM_KEY);
}

void sl_stream_read(const uint8_t key[SL_STREAM_KEY], uint64_t pos, uint8_t *to, size_t len)
{
    uint8_t block[SL_STREAM_BLOCK];
    while (len > 0) {
        size_t skip = (size_t)(pos % SL_STREAM_BLOCK);
        size_t n = SL_MIN(len, SL_STREAM_BLOCK - skip);
        sl_stream_block(key, SL_STREAM_BYTES, pos / SL_STREAM_BLOCK, block);
        memcpy(to, block + skip, n);
        to += n;
        pos += n;
        len -= n;
    }
}
