/* DNS messages: what is understood, what is refused, and every byte of an answer. DNS-04, DNS-08.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/dns/dnsmsg.h"

#define HEADER "\x12\x34\x01\x20\x00\x01\x00\x00\x00\x00\x00\x00"
#define QUERY(name, type)                                                                          \
    HEADER name "\x00"                                                                             \
                "\x00" type "\x00\x01"
#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

static const sl_addr v4 = {.family = 4, .bytes = {198, 18, 0, 1}};
static const sl_addr v6 = {.family = 6, .bytes = {[15] = 1}};

static void test_parse_plain(void **state)
{
    (void)state;
    sl_dnsmsg_query q;
    assert_int_equal(sl_dnsmsg_parse(BYTES(QUERY("\x03"
                                                 "aPi\x07"
                                                 "Example\x04"
                                                 "test",
                                                 "\x01")),
                                     &q),
                     0);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.flags, 0x0120);
    assert_int_equal(q.qtype, SL_DNSMSG_TYPE_A);
    assert_int_equal(q.qclass, SL_DNSMSG_CLASS_IN);
    assert_true(q.name_ok);
    assert_false(q.edns);
    assert_string_equal(q.name, "api.example.test");
}

static void test_answer_bytes(void **state)
{
    (void)state;
    static const char query[] = QUERY("\x01"
                                      "X\x04"
                                      "tEst",
                                      "\x01");
    /* The question keeps its letter case; RD is repeated, AD is not; RA and QR are set. */
    static const char want[] = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x00"
                               "\x01X\x04tEst\x00\x00\x01\x00\x01"
                               "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x12\x00\x01";
    sl_dnsmsg_query q;
    uint8_t out[SL_DNSMSG_MAX];
    assert_int_equal(sl_dnsmsg_parse(BYTES(query), &q), 0);
    assert_int_equal(sl_dnsmsg_answer(&q, SL_DNS_NOERROR, &v4, out), sizeof(want) - 1);
    assert_memory_equal(out, want, sizeof(want) - 1);

    size_t len = sl_dnsmsg_answer(&q, SL_DNS_NXNAME, &v4, out);
    assert_int_equal(len, sizeof(query) - 1);
    assert_int_equal(out[3] & 0x0f, SL_DNS_NXNAME);
    assert_int_equal(out[7], 0); /* no record, whatever was given */

    len = sl_dnsmsg_answer(&q, SL_DNS_NOERROR, NULL, out);
    assert_int_equal(len, sizeof(query) - 1);
    assert_int_equal(out[3] & 0x0f, 0);
}

static void test_answer_v6(void **state)
{
    (void)state;
    sl_dnsmsg_query q;
    uint8_t out[SL_DNSMSG_MAX];
    assert_int_equal(sl_dnsmsg_parse(BYTES(QUERY("\x01x", "\x1c")), &q), 0);
    size_t len = sl_dnsmsg_answer(&q, SL_DNS_NOERROR, &v6, out);
    assert_int_equal(len, sizeof(QUERY("\x01x", "\x1c")) - 1 + 12 + 16);
    assert_int_equal(out[len - 1], 1);
    assert_int_equal(out[len - 17], 16);
}

#define WITH_OPT(version)                                                                          \
    "\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01x\x00\x00\x01\x00\x01"                    \
    "\x00\x00\x29\x10\x00\x00" version "\x80\x00\x00\x04\x00\x0a\x00\x00"

static void test_edns(void **state)
{
    (void)state;
    static const char want[] = "\x12\x34\x81\x80\x00\x01\x00\x01\x00\x00\x00\x01"
                               "\x01x\x00\x00\x01\x00\x01"
                               "\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\xc6\x12\x00\x01"
                               "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00";
    sl_dnsmsg_query q;
    uint8_t out[SL_DNSMSG_MAX];
    assert_int_equal(sl_dnsmsg_parse(BYTES(WITH_OPT("\x00")), &q), 0);
    assert_true(q.edns);
    assert_int_equal(sl_dnsmsg_answer(&q, SL_DNS_NOERROR, &v4, out), sizeof(want) - 1);
    assert_memory_equal(out, want, sizeof(want) - 1);

    /* RFC 6891 section 6.1.3: version 1 gets BADVERS (16) and no data. */
    assert_int_equal(sl_dnsmsg_parse(BYTES(WITH_OPT("\x01")), &q), 0);
    size_t len = sl_dnsmsg_answer(&q, SL_DNS_NOERROR, &v4, out);
    assert_int_equal(out[7], 0);
    assert_int_equal(out[len - 6], 1);
    assert_int_equal(out[3] & 0x0f, 0);
}

static void test_names_that_are_none(void **state)
{
    (void)state;
    static const char *const queries[] = {
        HEADER "\x00\x00\x01\x00\x01", /* the root */
        HEADER "\x03"
               "a b\x00\x00\x01\x00\x01",
        HEADER "\x01*\x01x\x00\x00\x01\x00\x01",
        HEADER "\x02\xc3\xa9\x00\x00\x01\x00\x01",
        HEADER "\x03"
               "a/b\x00\x00\x01\x00\x01",
    };
    static const size_t sizes[] = {17, 21, 21, 20, 21};
    sl_dnsmsg_query q;
    for (size_t i = 0; i < SL_ARRAY_LEN(queries); i++) {
        assert_int_equal(sl_dnsmsg_parse((const uint8_t *)queries[i], sizes[i], &q), 0);
        assert_false(q.name_ok);
    }
}

struct bad {
    const char *bytes;
    size_t len;
    int want;
};
#define BAD(s, want)                                                                               \
    {                                                                                              \
        s, sizeof(s) - 1, want                                                                     \
    }
#define Q "\x00\x00\x01\x00\x01"

static void test_malformed(void **state)
{
    (void)state;
    static const struct bad cases[] = {
        BAD("", -EINVAL),                                                        /* empty UDP */
        BAD("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00", -EINVAL),            /* 11 bytes */
        BAD("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x" Q, -EINVAL), /* a response */
        BAD("\x12\x34\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01x" Q, -EOPNOTSUPP), /* UPDATE */
        BAD("\x12\x34\x01\x00\x00\x02\x00\x00\x00\x00\x00\x00\x01x" Q "\x01y" Q, -EBADMSG),
        BAD("\x12\x34\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", -EBADMSG),        /* QDCOUNT 0 */
        BAD("\x12\x34\x01\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01x" Q, -EBADMSG), /* ANCOUNT 1 */
        BAD("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\xff\xff\x01x" Q, -EBADMSG),
        BAD(HEADER "\x03"
                   "a\x00"
                   "b" Q,
            -EBADMSG), /* NUL inside a label */
        BAD(HEADER "\x03"
                   "a.b" Q,
            -EBADMSG),                                    /* dot inside a label */
        BAD(HEADER "\xc0\x0c\x00\x01\x00\x01", -EBADMSG), /* a pointer to itself */
        BAD(HEADER "\x01x\xc0\x0c\x00\x01\x00\x01", -EBADMSG),
        BAD(HEADER "\x40"
                   "0123456789012345678901234567890123456789012345678901234567890123" Q,
            -EBADMSG), /* 64-byte label */
        BAD(HEADER "\x80x" Q, -EBADMSG),
        BAD(HEADER "\x05x", -EBADMSG),
        BAD(HEADER "\x01x", -EBADMSG),
        BAD(HEADER "\x01x\x00\x00\x01\x00", -EBADMSG),
        BAD(HEADER "\x01x" Q "z", -EBADMSG), /* something behind */
        /* two OPT records; an OPT that has a name; one cut short */
        BAD("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x02\x01x" Q
            "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00"
            "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00",
            -EBADMSG),
        BAD("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01x" Q
            "\x01y\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00",
            -EBADMSG),
        BAD("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x01x" Q
            "\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x09",
            -EBADMSG),
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_dnsmsg_query q = {.id = 7};
        int r = sl_dnsmsg_parse((const uint8_t *)cases[i].bytes, cases[i].len, &q);
        if (r != cases[i].want) {
            fail_msg("case %zu: %d instead of %d", i, r, cases[i].want);
        }
        uint8_t out[SL_DNSMSG_MAX];
        if (r == -EBADMSG) {
            assert_int_equal(q.id, 0x1234);
            assert_int_equal(sl_dnsmsg_answer(&q, SL_DNS_FORMERR, &v4, out), 12);
            assert_int_equal(out[3] & 0x0f, SL_DNS_FORMERR);
            assert_int_equal(out[5], 0);
        }
    }
}

/* RFC 1035 section 3.1: 255 bytes on the wire, 253 as text, are allowed; one more is not. */
static void test_longest_name(void **state)
{
    (void)state;
    for (size_t last = 61; last <= 62; last++) {
        uint8_t q[400];
        sl_dnsmsg_query query;
        uint8_t out[SL_DNSMSG_MAX];
        memcpy(q, HEADER, 12);
        size_t n = 12;
        for (size_t i = 0; i < 4; i++) {
            size_t len = i == 3 ? last : 63;
            q[n++] = (uint8_t)len;
            memset(q + n, 'a', len);
            n += len;
        }
        memcpy(q + n, Q, 5);
        n += 5;
        int r = sl_dnsmsg_parse(q, n, &query);
        assert_int_equal(r, last == 61 ? 0 : -EBADMSG);
        if (r == 0) {
            assert_int_equal(strlen(query.name), 253);
            assert_int_equal(sl_dnsmsg_answer(&query, SL_DNS_NOERROR, &v4, out), n + 16);
        }
    }
}

/* Every cut of a good message is refused, and none is read past its end (ASan looks). */
static void test_every_cut(void **state)
{
    (void)state;
    static const char whole[] = WITH_OPT("\x00");
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        uint8_t *copy = malloc(len + 1);
        sl_dnsmsg_query q;
        assert_non_null(copy);
        memcpy(copy, whole, len);
        assert_int_equal(sl_dnsmsg_parse(copy, len, &q), len < 12 ? -EINVAL : -EBADMSG);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_plain),  cmocka_unit_test(test_answer_bytes),
        cmocka_unit_test(test_answer_v6),    cmocka_unit_test(test_edns),
        cmocka_unit_test(test_malformed),    cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_longest_name), cmocka_unit_test(test_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
