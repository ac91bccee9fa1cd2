/* The generator: RFC 8439's own vectors, and streams that are told apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "features/repeat/stream.h"

/* RFC 8439 appendix A.1, vectors 1 to 3: nonce zero. */
static void blocks_are_chacha20(void **state)
{
    static const struct {
        uint8_t last; /* byte of the key */
        uint64_t n;
        uint8_t head[16];
    } known[] = {
        {0,
         0,
         {0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86, 0xbd,
          0x28}},
        {0,
         1,
         {0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08,
          0x0d}},
        {1,
         1,
         {0x3a, 0xeb, 0x52, 0x24, 0xec, 0xf8, 0x49, 0x92, 0x9b, 0x9d, 0x82, 0x8d, 0xb1, 0xce, 0xd4,
          0xdd}},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
        uint8_t key[SL_STREAM_KEY] = {0};
        uint8_t block[SL_STREAM_BLOCK];
        key[SL_STREAM_KEY - 1] = known[i].last;
        sl_stream_block(key, SL_STREAM_BYTES, known[i].n, block);
        assert_memory_equal(block, known[i].head, sizeof(known[i].head));
    }
}

static void pieces_make_the_whole(void **state)
{
    uint8_t key[SL_STREAM_KEY];
    uint8_t whole[1000];
    (void)state;
    sl_stream_seed("42", key);
    sl_stream_read(key, 0, whole, sizeof(whole));
    for (size_t step = 1; step < 130; step++) {
        uint8_t parts[1000];
        for (size_t at = 0; at < sizeof(parts); at += step) {
            sl_stream_read(key, at, parts + at, SL_MIN(step, sizeof(parts) - at));
        }
        assert_memory_equal(parts, whole, sizeof(whole));
    }
}

static void seeds_and_uses_differ(void **state)
{
    static const char *const seeds[] = {"",
                                        "0",
                                        "1",
                                        "42",
                                        "042",
                                        "a text of more than thirty-two bytes, which is one block",
                                        "a text of more than thirty-two bytes, which is one clock"};
    uint8_t keys[SL_ARRAY_LEN(seeds) + 4][SL_STREAM_KEY];
    size_t count = 0;
    (void)state;
    for (; count < SL_ARRAY_LEN(seeds); count++) {
        sl_stream_seed(seeds[count], keys[count]);
    }
    sl_stream_derive(keys[1], SL_STREAM_CHILD, 0, keys[count++]);
    sl_stream_derive(keys[1], SL_STREAM_CHILD, 1, keys[count++]);
    sl_stream_derive(keys[1], SL_STREAM_EXEC, 0, keys[count++]);
    sl_stream_derive(keys[1], SL_STREAM_CHILD, (uint64_t)1 << 32, keys[count++]);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(keys[i], keys[k], SL_STREAM_KEY);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_chacha20),
        cmocka_unit_test(pieces_make_the_whole),
        cmocka_unit_test(seeds_and_uses_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
