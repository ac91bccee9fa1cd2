/* A list of owned strings, NULL-terminated, as argv is. */
#ifndef SANDLOCK_CORE_STRV_H
#define SANDLOCK_CORE_STRV_H

#include <stdbool.h>
#include <stddef.h>

typedef struct sl_strv {
    char **items; /* items[count] is NULL once anything was added */
    size_t count;
    size_t cap;
} sl_strv;

/* Copies `s` to the end. 0 or -ENOMEM. */
int sl_strv_add(sl_strv *v, const char *s);
/* Takes ownership of `s` even on failure. 0 or -ENOMEM. */
int sl_strv_take(sl_strv *v, char *s);
bool sl_strv_has(const sl_strv *v, const char *s);
void sl_strv_done(sl_strv *v);

/* In a "NAME=value" list: the value of `name`, or NULL. */
const char *sl_strv_env_get(const sl_strv *v, const char *name);
/* Sets or replaces. 0 or -ENOMEM. */
int sl_strv_env_set(sl_strv *v, const char *name, const char *value);

#endif
