/* The run's TLS identities: made once, out of what the user gave or nothing, and never half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/gateway_int.h"

static sl_gateway gw;

static int set_up(void **state)
{
    (void)state;
    memset(&gw, 0, sizeof(gw));
    gw.policy = sl_policy_new();
    return gw.policy == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_CTX_free(gw.server_ctx);
    SSL_CTX_free(gw.client_ctx);
    sl_ca_free(gw.ca);
    sl_policy_free(gw.policy);
    return 0;
}

static void an_authority_of_the_run_is_made(void **state)
{
    (void)state;
    sl_error err;
    assert_int_equal(sl_trust_make(&gw, NULL, 0, NULL, 0, &err), 0);
    assert_non_null(gw.ca);
    assert_non_null(gw.server_ctx);
    assert_null(gw.client_ctx); /* for the first TLS flow */
    assert_non_null(strstr(sl_ca_pem(gw.ca), "-----BEGIN CERTIFICATE-----"));
    assert_null(strstr(sl_ca_pem(gw.ca), "PRIVATE"));
}

static void what_is_no_authority_is_refused(void **state)
{
    (void)state;
    sl_error err = {.message = ""};
    const char *junk = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_true(sl_trust_make(&gw, junk, strlen(junk), junk, strlen(junk), &err) < 0);
    assert_null(gw.ca);
    assert_null(gw.server_ctx);
    assert_string_not_equal(err.message, "");
}

static void roots_are_read_once(void **state)
{
    (void)state;
    sl_error err;
    sl_ca *other = NULL;
    assert_int_equal(sl_trust_make(&gw, NULL, 0, NULL, 0, &err), 0);
    assert_int_equal(sl_ca_new(&other, &err), 0);
    gw.upstream_pem = (char *)sl_ca_pem(other);
    gw.upstream_pem_len = strlen(gw.upstream_pem);
    assert_int_equal(sl_trust_client_ctx(&gw, &err), 0);
    SSL_CTX *made = gw.client_ctx;
    assert_non_null(made);
    assert_int_equal(sl_trust_client_ctx(&gw, &err), 0);
    assert_ptr_equal(gw.client_ctx, made);
    sl_ca_free(other);
}

static void roots_of_the_user_must_be_some(void **state)
{
    (void)state;
    sl_error err = {.message = ""};
    char junk[] = "no certificate";
    gw.upstream_pem = junk;
    gw.upstream_pem_len = strlen(junk);
    assert_true(sl_trust_client_ctx(&gw, &err) < 0);
    assert_null(gw.client_ctx);
    assert_string_not_equal(err.message, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_authority_of_the_run_is_made),
        TEST(what_is_no_authority_is_refused),
        TEST(roots_are_read_once),
        TEST(roots_of_the_user_must_be_some),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
