/* Owns string lists and the environment operations on them. */
#include "core/strv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"

int sl_strv_take(sl_strv *v, char *s)
{
    if (s == NULL) {
        return -ENOMEM;
    }
    if (v->count + 2 > v->cap) {
        size_t cap = v->cap == 0 ? 16 : v->cap * 2;
        char **items = realloc(v->items, cap * sizeof(*items));
        if (items == NULL) {
            free(s);
            return -ENOMEM;
        }
        v->items = items;
        v->cap = cap;
    }
    v->items[v->count++] = s;
    v->items[v->count] = NULL;
    return 0;
}

int sl_strv_add(sl_strv *v, const char *s)
{
    return sl_strv_take(v, strdup(s));
}

bool sl_strv_has(const sl_strv *v, const char *s)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->items[i], s) == 0) {
            return true;
        }
    }
    return false;
}

void sl_strv_done(sl_strv *v)
{
    for (size_t i = 0; i < v->count; i++) {
        free(v->items[i]);
    }
    free(v->items);
    *v = (sl_strv){0};
}

static char **env_find(const sl_strv *v, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < v->count; i++) {
        if (strncmp(v->items[i], name, n) == 0 && v->items[i][n] == '=') {
            return &v->items[i];
        }
    }
    return NULL;
}

const char *sl_strv_env_get(const sl_strv *v, const char *name)
{
    char **item = env_find(v, name);
    return item == NULL ? NULL : *item + strlen(name) + 1;
}

int sl_strv_env_set(sl_strv *v, const char *name, const char *value)
{
    char *entry = NULL;
    if (asprintf(&entry, "%s=%s", name, value) < 0) {
        return -ENOMEM;
    }
    char **item = env_find(v, name);
    if (item == NULL) {
        return sl_strv_take(v, entry);
    }
    free(*item);
    *item = entry;
    return 0;
}
