/* The table of trust artefacts: what people are told is what the programs do. TLS-01. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/util.h"
#include "policy/artefact.h"

/* conf/trust and policy/artefact.inc are one table. */
static void table_is_the_one_for_people(void **state)
{
    static const char *const code[] = {
#define SL_ARTEFACT(id, name, file) "artefact " name " " file,
#include "policy/artefact.inc"
#define SL_ARTEFACT_CA_NAME            "ca"
#define SL_ARTEFACT_BUNDLE_NAME        "bundle"
#define SL_ARTEFACT_VARIABLE(name, id) "variable " name " " SL_ARTEFACT_##id##_NAME,
#include "policy/artefact.inc"
#define SL_ARTEFACT_SUFFIX(end, id) "suffix " end " " SL_ARTEFACT_##id##_NAME,
#include "policy/artefact.inc"
    };
    (void)state;
    sl_autofree char *text = NULL;
    size_t len = 0;
    size_t n = 0;
    char *rest;
    assert_int_equal(sl_fd_read_file(SANDLOCK_CONF "/trust", 65536, &text, &len), 0);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (*line != '#') {
            assert_true(n < SL_ARRAY_LEN(code));
            assert_string_equal(line, code[n]);
            n++;
        }
    }
    assert_int_equal(n, SL_ARRAY_LEN(code));
}

static void each_is_named_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        assert_true(strlen(sl_artefact_name(i)) > 0);
        assert_null(strchr(sl_artefact_file(i), '/'));
        assert_true(sl_artefact_may_be(sl_artefact_file(i)));
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(sl_artefact_name(i), sl_artefact_name(k));
            assert_string_not_equal(sl_artefact_file(i), sl_artefact_file(k));
        }
    }
    size_t count;
    const sl_artefact_variable *v = sl_artefact_variables(&count);
    for (size_t i = 0; i < count; i++) {
        assert_true(v[i].artefact < SL_ARTEFACTS);
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(v[i].name, v[k].name);
        }
    }
}

/* What is answered must get past the cheap look at the last part first. */
static void every_place_is_found(void **state)
{
    static const char *const bundles[] = {
#define SL_CA_BUNDLE(path) path,
#include "core/ca_bundles.inc"
    };
    static const struct {
        const char *end;
        enum sl_artefact artefact;
    } suffixes[] = {
#define SL_ARTEFACT_SUFFIX(end, id) {end, SL_ARTEFACT_##id},
#include "policy/artefact.inc"
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(bundles); i++) {
        char longer[256];
        assert_int_equal(sl_artefact_at(bundles[i]), SL_ARTEFACT_BUNDLE);
        assert_true(sl_artefact_may_be(bundles[i]));
        snprintf(longer, sizeof(longer), "/mnt%s", bundles[i]);
        assert_int_equal(sl_artefact_at(longer), SL_ARTEFACTS);
        snprintf(longer, sizeof(longer), "%s.old", bundles[i]);
        assert_int_equal(sl_artefact_at(longer), SL_ARTEFACTS);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(suffixes); i++) {
        char path[256];
        snprintf(path, sizeof(path), "/venv/site-packages%s", suffixes[i].end);
        assert_int_equal(sl_artefact_at(path), suffixes[i].artefact);
        assert_true(sl_artefact_may_be(path));
        assert_true(sl_artefact_may_be(strrchr(path, '/') + 1)); /* as openat(2) gets it */
        path[strlen(path) - 1] = 'x';
        assert_int_equal(sl_artefact_at(path), SL_ARTEFACTS);
    }
}

static void other_files_are_themselves(void **state)
{
    (void)state;
    static const char *const at[] = {"",
                                     "/",
                                     "/cacert.pem",
                                     "/x/notcertifi/cacert.pem",
                                     "/x/certifi/cacert.pem/",
                                     "/x/httplib2/cacerts.txt2"};
    static const char *const quick[] = {"",         "/",     "hosts",           "/lib/libc.so.6",
                                        "/a.pem/b", "s.txt", "/x/mycacerts.txt"};
    for (size_t i = 0; i < SL_ARRAY_LEN(at); i++) {
        assert_int_equal(sl_artefact_at(at[i]), SL_ARTEFACTS);
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(quick); i++) {
        assert_false(sl_artefact_may_be(quick[i]));
    }
    assert_true(sl_artefact_may_be("a-link.crt"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_one_for_people),
        cmocka_unit_test(each_is_named_once),
        cmocka_unit_test(every_place_is_found),
        cmocka_unit_test(other_files_are_themselves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
