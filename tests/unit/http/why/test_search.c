/* Which names a resolver made of others. resolv.conf(5). */
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
#include "http/why/search.h"

static sl_policy *policy;

static int set_up(void **state)
{
    sl_error err;
    (void)state;
    policy = sl_policy_new();
    const sl_field *field = sl_field_by_name("http_allow");
    return policy == NULL ? -1 : sl_policy_set(policy, field, "GET api.test/*", &err);
}

static int tear_down(void **state)
{
    (void)state;
    sl_policy_free(policy);
    return 0;
}

static void a_granted_name_with_a_domain_behind_it(void **state)
{
    (void)state;
    static const char *const yes[] = {
        "search corp.test", "nameserver 192.0.2.1\nsearch a.test corp.test\noptions x\n",
        "domain\tCORP.test.\n", "search a.test\nsearch corp.test \t\n", "search corp.test\r\n"};
    static const char *const no[] = {"",
                                     "search",
                                     "search ",
                                     "search\n",
                                     "search a.test",
                                     "searchcorp.test",
                                     "#search corp.test",
                                     "search xcorp.test",
                                     "search test",
                                     "nameserver corp.test",
                                     "search\ncorp.test"};
    for (size_t i = 0; i < SL_ARRAY_LEN(yes); i++) {
        if (!sl_search_expands(policy, "api.test.corp.test", yes[i])) {
            fail_msg("'%s' does not", yes[i]);
        }
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(no); i++) {
        if (sl_search_expands(policy, "api.test.corp.test", no[i])) {
            fail_msg("'%s' does", no[i]);
        }
    }
}

/* A name in that domain is what somebody asked for. */
static void other_names_are_themselves(void **state)
{
    (void)state;
    static const char conf[] = "search corp.test\n";
    assert_false(sl_search_expands(policy, "git.corp.test", conf));
    assert_false(sl_search_expands(policy, "corp.test", conf));
    assert_false(sl_search_expands(policy, "other.test.corp.test", conf));
    assert_false(sl_search_expands(policy, "api.test", conf));
    char word[2000] = "search ";
    memset(word + 7, 'a', sizeof(word) - 8);
    assert_false(sl_search_expands(policy, "api.test.corp.test", word));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_granted_name_with_a_domain_behind_it),
        cmocka_unit_test(other_names_are_themselves),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
