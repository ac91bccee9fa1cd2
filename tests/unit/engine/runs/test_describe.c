/* What a run says of itself: names are plain and bounded, hostile words stay words. */
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "engine/runs/describe.h"

#define NAME_BYTES 40 /* of a command, in a name */

static struct sl_facts facts_of(const sl_policy *policy, char *const *argv)
{
    return (struct sl_facts){
        .policy = policy, .argv = argv, .pid = getpid(), .started_ns = sl_clock_now_ns()};
}

static void assert_name(const sl_policy *policy, char *command, const char *expected)
{
    char *argv[] = {command, NULL};
    char name[SL_DESCRIBE_NAME_MAX];
    struct sl_facts facts = facts_of(policy, argv);
    facts.pid = 7;
    assert_ptr_equal(sl_describe_name(&facts, name), name);
    assert_string_equal(name, expected);
}

static void names_are_plain(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_error err = {0};
    assert_name(policy, "true", "true-7");
    assert_name(policy, "/usr/bin/python3.11", "python3.11-7");
    assert_name(policy, "./a b\n\033[2J\xc3\xa9", "a_b___2J__-7");
    assert_name(policy, "--all", "_-all-7");
    assert_name(policy, "dir/", "-7");
    assert_name(policy, "", "-7");
    assert_int_equal(sl_policy_set(policy, sl_field_by_name("name"), "web", &err), 0);
    assert_name(policy, "true", "web");
}

static void names_are_bounded(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    char command[4096];
    char expected[SL_DESCRIBE_NAME_MAX] = {0};
    memset(command, 'x', sizeof(command) - 1);
    command[sizeof(command) - 1] = '\0';
    memset(expected, 'x', NAME_BYTES);
    memcpy(expected + NAME_BYTES, "-7", 3);
    assert_name(policy, command, expected);
}

static json_t *described(const struct sl_facts *facts, bool whole)
{
    sl_buf out;
    sl_buf_init(&out, 8u << 20);
    assert_int_equal(sl_describe(facts, whole, &out), 0);
    json_t *all = json_loadb((const char *)sl_buf_head(&out), out.len, 0, NULL);
    assert_non_null(all);
    sl_buf_done(&out);
    return all;
}

static void hostile_words_stay_words(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    char *argv[] = {"sh", "\",\"state\":\"gone", "a\nb", "\xff\xfe", NULL};
    struct sl_facts facts = facts_of(policy, argv);
    json_t *all = described(&facts, false);
    json_t *command = json_object_get(all, "command");
    assert_int_equal(json_array_size(command), 4);
    assert_string_equal(json_string_value(json_array_get(command, 1)), argv[1]);
    assert_string_equal(json_string_value(json_array_get(command, 2)), argv[2]);
    assert_string_equal(json_string_value(json_array_get(command, 3)), "??");
    assert_string_equal(json_string_value(json_object_get(all, "state")), "running");
    assert_null(json_object_get(all, "policy"));
    json_decref(all);
}

/* What is left out is said; what fits exactly is there. */
static void long_commands_are_cut(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    char *argument = malloc(SL_DESCRIBE_ARGV_MAX);
    assert_non_null(argument);
    memset(argument, 'y', SL_DESCRIBE_ARGV_MAX - 1);
    argument[SL_DESCRIBE_ARGV_MAX - 1] = '\0';
    char *whole[] = {argument, NULL};
    char *cut[] = {"", argument, "last", NULL}; /* by one byte */
    struct sl_facts facts = facts_of(policy, whole);
    json_t *all = described(&facts, false);
    json_t *command = json_object_get(all, "command");
    assert_int_equal(json_array_size(command), 1);
    assert_int_equal(json_string_length(json_array_get(command, 0)), SL_DESCRIBE_ARGV_MAX - 1);
    json_decref(all);
    facts = facts_of(policy, cut);
    all = described(&facts, false);
    command = json_object_get(all, "command");
    assert_int_equal(json_array_size(command), 2);
    assert_string_equal(json_string_value(json_array_get(command, 1)), "...");
    json_decref(all);
    free(argument);
}

static void the_whole_has_the_policy(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    sl_error err = {0};
    char *argv[] = {"true", NULL};
    assert_int_equal(sl_policy_set(policy, sl_field_by_name("fs_readable"), "/usr", &err), 0);
    struct sl_facts facts = facts_of(policy, argv);
    facts.ending = true;
    json_t *all = described(&facts, true);
    json_t *list = json_object_get(json_object_get(all, "policy"), "fs_readable");
    assert_string_equal(json_string_value(json_array_get(list, 0)), "/usr");
    const char *toml = json_string_value(json_object_get(all, "policy_toml"));
    assert_non_null(strstr(toml, "fs_readable"));
    assert_string_equal(json_string_value(json_object_get(all, "state")), "ending");
    assert_true(json_is_null(json_object_get(all, "gateway")));
    json_decref(all);
}

/* A buffer that is too small gives an error, not half an object that passes for one. */
static void no_room_is_an_error(void **state)
{
    (void)state;
    SL_AUTO(sl_policy) policy = sl_policy_new();
    char *argv[] = {"true", NULL};
    struct sl_facts facts = facts_of(policy, argv);
    sl_buf out;
    sl_buf_init(&out, 16);
    assert_int_equal(sl_describe(&facts, true, &out), -ENOMEM);
    sl_buf_done(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_plain),          cmocka_unit_test(names_are_bounded),
        cmocka_unit_test(hostile_words_stay_words), cmocka_unit_test(long_commands_are_cut),
        cmocka_unit_test(the_whole_has_the_policy), cmocka_unit_test(no_room_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
