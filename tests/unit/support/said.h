/* What a command of the program says, called as a function. After cmocka.h. */
#ifndef SANDLOCK_TESTS_SAID_H
#define SANDLOCK_TESTS_SAID_H

#include "caught.h"

struct said {
    int code;
    struct caught out;
    struct caught err;
};

static inline void said_run(struct said *s, int (*command)(int argc, char **argv), char **argv)
{
    int argc = 0;
    while (argv[argc] != NULL) {
        argc++;
    }
    caught_begin(&s->out, STDOUT_FILENO);
    caught_begin(&s->err, STDERR_FILENO);
    s->code = command(argc, argv);
    caught_end(&s->err);
    caught_end(&s->out);
}

#define SAID(s, command, ...) said_run(s, command, (char *[]){__VA_ARGS__, NULL})

/* Refused: this exit code, one line on standard error that has `word`, nothing on standard output.
 */
static inline void said_failure(const struct said *s, int code, const char *word)
{
    const char *err = s->err.text;
    if (s->code != code || strstr(err, word) == NULL) {
        fail_msg("exit %d, '%s'; expected %d and '%s'", s->code, err, code, word);
    }
    assert_int_equal(strncmp(err, "sandlock: ", 10), 0);
    assert_ptr_equal(strchr(err, '\n'), err + strlen(err) - 1);
    assert_string_equal(s->out.text, "");
}

#endif
