/* The table of a tree's ports: who is reached by which address, what a port is called, its end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "features/remap/portmap.h"

static sl_portmap map;

static int fresh(void **state)
{
    (void)state;
    memset(&map, 0, sizeof(map));
    return 0;
}

static sl_addr addr_of(const char *text)
{
    sl_addr addr;
    assert_int_equal(sl_addr_parse(text, &addr), 0);
    return addr;
}

static sl_bound bound(uint64_t cookie, const char *text, bool v6only, uint16_t inside,
                      uint16_t real)
{
    sl_bound b = {.cookie = cookie, .proto = SL_PROTO_TCP, .inside = inside, .real = real};
    sl_addr addr = addr_of(text);
    sl_bound_set_addr(&b, &addr, v6only);
    return b;
}

static void put(uint64_t cookie, const char *text, uint16_t inside, uint16_t real)
{
    sl_bound b = bound(cookie, text, false, inside, real);
    assert_int_equal(sl_portmap_put(&map, &b), 0);
}

static uint16_t real_of(const char *text, uint16_t inside)
{
    uint16_t real = 0;
    sl_addr addr = addr_of(text);
    return sl_portmap_reals(&map, SL_PROTO_TCP, &addr, inside, &real, 1) == 0 ? 0 : real;
}

static void an_address_covers_what_it_is_bound_to(void **state)
{
    (void)state;
    static const struct {
        const char *bound;
        bool v6only;
        const char *to;
        bool covered;
    } table[] = {
        {"127.0.0.1", false, "127.0.0.1", true},
        {"127.0.0.1", false, "127.0.0.2", false},
        {"127.0.0.1", false, "::ffff:127.0.0.1", true},
        {"0.0.0.0", false, "127.0.0.2", true},
        {"0.0.0.0", false, "::1", false},
        {"::", false, "::1", true},
        {"::", false, "192.0.2.1", true},
        {"::", true, "192.0.2.1", false},
        {"::", true, "2001:db8::1", true},
        {"::1", false, "127.0.0.1", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sl_bound b = bound(1, table[i].bound, table[i].v6only, 80, 80);
        sl_addr to = addr_of(table[i].to);
        assert_int_equal(sl_bound_covers(&b, &to), table[i].covered);
    }
}

static void addresses_in_common_overlap(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        bool a_v6only;
        const char *b;
        bool overlap;
    } table[] = {
        {"127.0.0.1", false, "127.0.0.1", true}, {"127.0.0.1", false, "127.0.0.2", false},
        {"0.0.0.0", false, "127.0.0.1", true},   {"0.0.0.0", false, "0.0.0.0", true},
        {"::", false, "0.0.0.0", true},          {"::", true, "0.0.0.0", false},
        {"::", true, "127.0.0.1", false},        {"::", true, "::1", true},
        {"::", false, "127.0.0.1", true},        {"::1", false, "0.0.0.0", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sl_bound a = bound(1, table[i].a, table[i].a_v6only, 80, 80);
        sl_bound b = bound(2, table[i].b, false, 80, 80);
        assert_int_equal(sl_bound_overlaps(&a, &b), table[i].overlap);
        assert_int_equal(sl_bound_overlaps(&b, &a), table[i].overlap);
    }
}

static void names_lead_to_ports_and_back(void **state)
{
    (void)state;
    sl_addr loopback = addr_of("127.0.0.1");
    sl_addr other = addr_of("127.0.0.2");
    put(1, "127.0.0.1", 6379, 40001);
    put(2, "127.0.0.2", 6379, 40002);
    put(3, "0.0.0.0", 8000, 8000);
    assert_int_equal(real_of("127.0.0.1", 6379), 40001);
    assert_int_equal(real_of("127.0.0.2", 6379), 40002);
    assert_int_equal(real_of("127.0.0.3", 6379), 0);
    assert_int_equal(real_of("127.0.0.3", 8000), 8000);
    assert_int_equal(real_of("127.0.0.1", 40001), 0);
    assert_int_equal(sl_portmap_inside(&map, SL_PROTO_TCP, &loopback, 40001), 6379);
    assert_int_equal(sl_portmap_inside(&map, SL_PROTO_TCP, &other, 40001), 0);
    assert_int_equal(sl_portmap_inside(&map, SL_PROTO_UDP, &loopback, 40001), 0);
    assert_int_equal(map.moved_tcp, 2);
    assert_int_equal(map.moved_udp, 0);
}

static void an_exact_address_comes_first(void **state)
{
    (void)state;
    uint16_t reals[4];
    sl_addr loopback = addr_of("127.0.0.1");
    put(1, "127.0.0.1", 80, 40001);
    put(2, "0.0.0.0", 80, 40002);
    put(3, "0.0.0.0", 80, 40002);
    assert_int_equal(sl_portmap_reals(&map, SL_PROTO_TCP, &loopback, 80, reals, 4), 2);
    assert_int_equal(reals[0], 40001);
    assert_int_equal(reals[1], 40002);
    assert_int_equal(sl_portmap_reals(&map, SL_PROTO_TCP, &loopback, 80, reals, 1), 1);
}

static void a_newer_claim_ends_an_older_one(void **state)
{
    (void)state;
    put(1, "127.0.0.1", 6379, 40001);
    put(2, "127.0.0.2", 6380, 40001); /* another address: both may live */
    put(3, "0.0.0.0", 7000, 40001);   /* only one of them can have the port now */
    assert_null(sl_portmap_get(&map, 1));
    assert_null(sl_portmap_get(&map, 2));
    assert_int_equal(map.count, 1);
    put(3, "0.0.0.0", 40001, 40001); /* the same socket again */
    assert_int_equal(map.count, 1);
    assert_int_equal(map.moved_tcp, 0);
    sl_portmap_drop(&map, 3);
    sl_portmap_drop(&map, 3);
    assert_int_equal(map.count, 0);
}

static void the_table_has_an_end(void **state)
{
    (void)state;
    for (uint16_t i = 0; i < SL_PORTMAP_MAX; i++) {
        put(i + 1u, "127.0.0.1", (uint16_t)(2000 + i), (uint16_t)(20000 + i));
    }
    sl_bound one_more = bound(9999, "127.0.0.1", false, 80, 50000);
    assert_int_equal(sl_portmap_put(&map, &one_more), -ENOBUFS);
    one_more.cookie = 1; /* in place of its own older entry it fits */
    assert_int_equal(sl_portmap_put(&map, &one_more), 0);
    assert_int_equal(map.count, SL_PORTMAP_MAX);
    assert_int_equal(map.moved_tcp, SL_PORTMAP_MAX);
}

static void a_free_name_is_found(void **state)
{
    (void)state;
    put(1, "127.0.0.1", 65535, 40001);
    put(2, "127.0.0.1", 65534, 40002);
    put(3, "127.0.0.1", 1024, 40003);
    assert_int_equal(sl_portmap_free_name(&map, SL_PROTO_TCP, 500), 500);
    assert_int_equal(sl_portmap_free_name(&map, SL_PROTO_TCP, 65534), 1025);
    assert_int_equal(sl_portmap_free_name(&map, SL_PROTO_UDP, 65534), 65534);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_address_covers_what_it_is_bound_to, fresh),
        cmocka_unit_test_setup(addresses_in_common_overlap, fresh),
        cmocka_unit_test_setup(names_lead_to_ports_and_back, fresh),
        cmocka_unit_test_setup(an_exact_address_comes_first, fresh),
        cmocka_unit_test_setup(a_newer_claim_ends_an_older_one, fresh),
        cmocka_unit_test_setup(the_table_has_an_end, fresh),
        cmocka_unit_test_setup(a_free_name_is_found, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
