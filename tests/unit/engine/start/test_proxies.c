/* Which variables name proxies, and which proxies they name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "engine/start/proxies.h"

static void variables_are_known_by_their_names(void **state)
{
    (void)state;
    static const char *const yes[] = {"http_proxy=x",
                                      "HTTPS_PROXY=x",
                                      "All_Proxy=x",
                                      "ftp_proxy=x",
                                      "NO_PROXY=x",
                                      "npm_config_proxy=x",
                                      "npm_config_https_proxy=x",
                                      "npm_config_noproxy=x",
                                      "CARGO_HTTP_PROXY=x",
                                      "GLOBAL_AGENT_HTTP_PROXY=x",
                                      "http_proxy="};
    static const char *const no[] = {"GOPROXY=x",        "TRUST_PROXY=1",    "http_proxy",
                                     "xhttp_proxy=x",    "http_proxy_x=x",   "proxy=x",
                                     "PATH=http_proxy=", "HTTP_PROXY_HOST=x"};
    for (size_t i = 0; i < SL_ARRAY_LEN(yes); i++) {
        if (!sl_proxies_is_variable(yes[i])) {
            fail_msg("'%s' is one", yes[i]);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(no); i++) {
        if (sl_proxies_is_variable(no[i])) {
            fail_msg("'%s' is none", no[i]);
        }
    }
}

static void proxies_are_read_as_clients_do(void **state)
{
    (void)state;
    static const struct {
        const char *pair;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"http_proxy=http://proxy.test:3128", "proxy.test", 3128},
        {"http_proxy=http://proxy.test:3128/path?x", "PROXY.test", 3128},
        {"HTTPS_PROXY=proxy.test:8080", "proxy.test", 8080},
        {"all_proxy=socks5h://u:p%40@[2001:db8::1]:1080", "2001:db8::1", 1080},
        {"all_proxy=http://user@name:pass@192.0.2.1:1/", "192.0.2.1", 1},
        {"http_proxy=proxy.test", "proxy.test", 1234}, /* no port: any may be meant */
        {"http_proxy=http://localhost:3128", "127.0.0.1", 3128},
        {"http_proxy=http://127.0.0.1:3128", "::1", 3128},
        {"http_proxy=http://proxy.test:3128", "proxy.test", 0}, /* a name that is looked up */
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_strv list = {0};
        assert_int_equal(sl_proxies_add(&list, cases[i].pair), 0);
        assert_int_equal(sl_proxies_add(&list, cases[i].pair), 0);
        assert_int_equal(list.count, 1);
        if (!sl_proxies_have(&list, cases[i].host, cases[i].port)) {
            fail_msg("'%s': not '%s'", cases[i].pair, cases[i].host);
        }
        assert_false(sl_proxies_have(&list, "other.test", cases[i].port));
        sl_strv_done(&list);
    }
}

static void what_names_none_adds_none(void **state)
{
    (void)state;
    static const char *const pairs[] = {"http_proxy=",        "http_proxy=http://",
                                        "no_proxy=a.test",    "npm_config_noproxy=a.test",
                                        "PATH=/bin:/usr/bin", "http_proxy=http://@:80"};
    sl_strv list = {0};
    for (size_t i = 0; i < SL_ARRAY_LEN(pairs); i++) {
        assert_int_equal(sl_proxies_add(&list, pairs[i]), 0);
    }
    assert_int_equal(list.count, 0);
    assert_false(sl_proxies_have(&list, "a.test", 80));
    char long_pair[600] = "http_proxy=";
    memset(long_pair + 11, 'x', sizeof(long_pair) - 12);
    assert_int_equal(sl_proxies_add(&list, long_pair), 0);
    assert_int_equal(list.count, 0);
    assert_int_equal(sl_proxies_add(&list, "http_proxy=a.test:80"), 0);
    assert_false(sl_proxies_have(&list, "a.test", 81));
    sl_strv_done(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_known_by_their_names),
        cmocka_unit_test(proxies_are_read_as_clients_do),
        cmocka_unit_test(what_names_none_adds_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
