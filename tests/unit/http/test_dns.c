/* Which names exist for the child, and what the engine hears of those it connects to directly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "http/dns.h"
#include "rig.h"

static rig r;
static int engine; /* the other end of the link */
static const struct sl_link_process process = {.pid = 7, .exe = "/bin/asks"};

static int set_up(void **state)
{
    (void)state;
    int fds[2];
    rig_init(&r);
    rig_keep_log(&r);
    int synth = sl_synth_create();
    r.gw.synth = sl_synth_map_open(synth, true);
    close(synth);
    r.gw.resolver = sl_resolver_new(&r.loop);
    if (r.gw.synth == NULL || r.gw.resolver == NULL ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
        return -1;
    }
    r.gw.link = fds[0];
    engine = fds[1];
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(engine);
    close(r.gw.link);
    sl_resolver_free(r.gw.resolver);
    sl_synth_map_close(r.gw.synth);
    r.gw.resolver = NULL;
    rig_done(&r);
    return 0;
}

static enum sl_dns_answer ask(const char *name, sl_addr *ret)
{
    sl_addr v6 = {0};
    enum sl_dns_answer a = sl_dns_on_question(&r.gw, (void *)&process, name, true, ret, &v6);
    if (a == SL_DNS_ADDRESS) { /* both mean the same name */
        char one[SL_HOST_NAME_MAX];
        char other[SL_HOST_NAME_MAX];
        assert_int_equal(v6.family, 6);
        assert_int_equal(sl_synth_lookup(r.gw.synth, ret, one), 0);
        assert_int_equal(sl_synth_lookup(r.gw.synth, &v6, other), 0);
        assert_string_equal(one, other);
    }
    return a;
}

static void a_granted_name_has_an_address_of_its_own(void **state)
{
    (void)state;
    char name[SL_HOST_NAME_MAX];
    sl_addr one;
    sl_addr again;
    const rig_word words[] = {{"http_allow", "* *.test/*"}};
    rig_policy(&r, words, 1);
    assert_int_equal(ask("a.test", &one), SL_DNS_ADDRESS);
    assert_true(sl_synth_is(&one));
    assert_int_equal(sl_synth_lookup(r.gw.synth, &one, name), 0);
    assert_string_equal(name, "a.test");
    assert_int_equal(ask("a.test", &again), SL_DNS_ADDRESS);
    assert_true(sl_addr_equal(&one, &again));
    assert_int_equal(ask("b.test", &again), SL_DNS_ADDRESS);
    assert_false(sl_addr_equal(&one, &again));
    assert_int_equal(ask("localhost", &again), SL_DNS_LOOPBACK);
    assert_int_equal(ask("x.localhost", &again), SL_DNS_LOOPBACK);
}

static void another_name_does_not_exist_and_is_told_once(void **state)
{
    (void)state;
    sl_addr unused = {0};
    assert_int_equal(ask("secret.evil.test", &unused), SL_DNS_NXDOMAIN);
    assert_int_equal(unused.family, 0);
    char *text = rig_log(&r);
    assert_non_null(strstr(text, "\"sandlock.verdict\":\"deny\",\"sandlock.kind\":\"dns\","
                                 "\"sandlock.reason\":\"no_rule\","
                                 "\"server.address\":\"secret.evil.test\",\"process.pid\":7,"
                                 "\"process.executable.path\":\"/bin/asks\"}\n"));
    free(text);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(ask("secret.evil.test", &unused), SL_DNS_NXDOMAIN);
    }
    text = rig_log(&r);
    assert_string_equal(text, "");
    free(text);
}

/* Nobody connects by what a service record or a text says. */
static void what_is_no_address_is_no_denial(void **state)
{
    (void)state;
    sl_addr v4 = {0};
    sl_addr v6 = {0};
    assert_int_equal(sl_dns_on_question(&r.gw, (void *)&process, "srv.evil.test", false, &v4, &v6),
                     SL_DNS_NXDOMAIN);
    char *text = rig_log(&r);
    assert_string_equal(text, "");
    free(text);
}

/* A child that asks for ever new names does not fill the log. */
static void refusals_that_are_told_are_bounded(void **state)
{
    (void)state;
    sl_addr unused;
    unsigned lines = 0;
    for (unsigned i = 0; i < 4096; i++) {
        char name[64];
        snprintf(name, sizeof(name), "n%u.evil.test", i);
        assert_int_equal(ask(name, &unused), SL_DNS_NXDOMAIN);
    }
    char *text = rig_log(&r);
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++) {
        lines++;
    }
    assert_true(lines > 0 && lines <= 1024);
    free(text);
}

static void addresses_run_out_and_that_is_a_failure(void **state)
{
    (void)state;
    sl_addr addr;
    const rig_word words[] = {{"http_allow", "* *.test/*"}};
    rig_policy(&r, words, 1);
    for (unsigned i = 0; i < SL_SYNTH_MAX; i++) {
        char name[64];
        snprintf(name, sizeof(name), "n%u.test", i);
        assert_int_equal(ask(name, &addr), SL_DNS_ADDRESS);
    }
    assert_int_equal(ask("more.test", &addr), SL_DNS_SERVFAIL);
    assert_int_equal(ask("n5.test", &addr), SL_DNS_ADDRESS); /* those that have one keep it */
}

static void resolve(const char *name, struct sl_link_resolved *ret)
{
    struct sl_link_resolve m = {.id = 99, .port = 5432};
    snprintf(m.name, sizeof(m.name), "%s", name);
    sl_dns_resolve(&r.gw, &m);
    while (recv(engine, ret, sizeof(*ret), MSG_DONTWAIT) < 0) {
        uv_run(&r.loop, UV_RUN_ONCE);
    }
    assert_int_equal(ret->header.type, SL_LINK_RESOLVED);
    assert_int_equal(ret->header.length, sizeof(*ret));
    assert_int_equal(ret->id, 99);
}

static void the_engine_hears_what_may_be_dialled(void **state)
{
    (void)state;
    struct sl_link_resolved m;
    char path[] = "/tmp/sandlock-hosts-XXXXXX";
    const char text[] = "10.0.0.1 db.test\n169.254.169.254 meta.test\n";
    const rig_word words[] = {{"net_allow", "db.test:5432"},
                              {"net_allow", "meta.test:5432"},
                              {"net_allow", "fixed.test:5432"},
                              {"resolve", "fixed.test=127.0.0.1:1"}};
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    assert_int_equal(sl_resolver_set_hosts_file(r.gw.resolver, path), 0);
    rig_policy(&r, words, SL_ARRAY_LEN(words));
    resolve("db.test", &m);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.addrs[0].port, 5432);
    assert_string_equal(m.reason, "");
    resolve("meta.test", &m);
    assert_int_equal(m.count, 0);
    assert_string_equal(m.reason, "address_denied");
    resolve("fixed.test", &m);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.addrs[0].port, 1);
    resolve("UPPER.test", &m); /* no name that the resolver takes */
    assert_int_equal(m.count, 0);
    assert_string_equal(m.reason, "dns");
    unlink(path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_granted_name_has_an_address_of_its_own),
        TEST(another_name_does_not_exist_and_is_told_once),
        TEST(what_is_no_address_is_no_denial),
        TEST(refusals_that_are_told_are_bounded),
        TEST(addresses_run_out_and_that_is_a_failure),
        TEST(the_engine_hears_what_may_be_dialled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
