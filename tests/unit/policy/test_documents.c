/* Every option of the table is in the manual and in each shell's completion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/fd.h"
#include "policy/policy.h"

#define FILE_MAX (1u << 20)

/* The file's text; roff's "\-" is the "-" that it prints. */
static char *read_text(const char *path)
{
    char *text = NULL;
    size_t len = 0;
    char full[512];
    snprintf(full, sizeof(full), "%s/%s", SANDLOCK_SOURCE_DIR, path);
    if (sl_fd_read_file(full, FILE_MAX, &text, &len) < 0) {
        fail_msg("cannot read %s", full);
    }
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (from[0] != '\\' || from[1] != '-') {
            *to++ = *from;
        }
    }
    *to = '\0';
    return text;
}

/* The word is there and goes on neither as another option nor as part of one. */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = text; (p = strstr(p, word)) != NULL; p += n) {
        bool goes_on = (p[n] >= 'a' && p[n] <= 'z') || p[n] == '-';
        if (!goes_on) {
            return true;
        }
    }
    return false;
}

static void check_file(const char *path, const char *prefix)
{
    sl_autofree char *text = read_text(path);
    size_t count;
    const sl_field *fields = sl_fields(&count);
    for (size_t i = 0; i < count; i++) {
        const char *options[] = {fields[i].option, fields[i].option_alias};
        for (size_t j = 0; j < SL_ARRAY_LEN(options); j++) {
            char word[64];
            if (options[j] == NULL) {
                continue;
            }
            snprintf(word, sizeof(word), "%s%s", prefix, options[j] + 2);
            if (!has_word(text, word)) {
                fail_msg("%s has no '%s'", path, word);
            }
        }
    }
}

static void test_manual(void **state)
{
    (void)state;
    check_file("docs/man/sandlock.1", "--");
}

static void test_completions(void **state)
{
    (void)state;
    check_file("conf/completions/sandlock.bash", "--");
    check_file("conf/completions/_sandlock", "--");
    check_file("conf/completions/sandlock.fish", "-l ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_completions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
