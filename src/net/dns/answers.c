/* Owns the remembered answers of DNS. Never keeps one beyond its TTL, and never keeps a failure: a
 * name that is being set up must work as soon as it exists. */
#include "net/dns/answers.h"

#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "net/hostname_int.h"

struct answer {
    char name[SL_HOSTNAME_MAX];
    uint64_t until_ms;
    size_t count;
    sl_addr addrs[SL_ANSWERS_ADDRS_MAX];
};

struct sl_answers {
    struct answer *table[SL_ANSWERS_MAX];
    size_t count;
};

sl_answers *sl_answers_new(void)
{
    return calloc(1, sizeof(sl_answers));
}

void sl_answers_clear(sl_answers *a)
{
    while (a->count > 0) {
        free(a->table[--a->count]);
    }
}

void sl_answers_free(sl_answers *a)
{
    if (a != NULL) {
        sl_answers_clear(a);
        free(a);
    }
}

static void drop(sl_answers *a, size_t i)
{
    free(a->table[i]);
    a->table[i] = a->table[--a->count];
}

/* Where the name is, or `count`. */
static size_t find(const sl_answers *a, const char *name)
{
    size_t i = 0;
    while (i < a->count && strcmp(a->table[i]->name, name) != 0) {
        i++;
    }
    return i;
}

static size_t ends_first(const sl_answers *a)
{
    size_t first = 0;
    for (size_t i = 1; i < a->count; i++) {
        if (a->table[i]->until_ms < a->table[first]->until_ms) {
            first = i;
        }
    }
    return first;
}

void sl_answers_put(sl_answers *a, const char *name, const sl_addr *addrs, size_t count,
                    int64_t ttl_s, uint64_t now_ms)
{
    size_t at = find(a, name);
    size_t len = strlen(name);
    if (at < a->count) {
        drop(a, at);
    }
    struct answer *answer =
        ttl_s > 0 && count > 0 && count <= SL_ANSWERS_ADDRS_MAX && len < sizeof(answer->name)
            ? calloc(1, sizeof(*answer))
            : NULL;
    if (answer == NULL) {
        return;
    }
    if (a->count == SL_ANSWERS_MAX) {
        drop(a, ends_first(a));
    }
    memcpy(answer->name, name, len + 1);
    answer->until_ms = now_ms + (uint64_t)SL_MIN(ttl_s, (int64_t)SL_ANSWERS_TTL_MAX_S) * 1000;
    answer->count = count;
    memcpy(answer->addrs, addrs, count * sizeof(*addrs));
    a->table[a->count++] = answer;
}

size_t sl_answers_get(sl_answers *a, const char *name, uint64_t now_ms,
                      sl_addr ret[SL_ANSWERS_ADDRS_MAX])
{
    size_t at = find(a, name);
    if (at == a->count) {
        return 0;
    }
    const struct answer *answer = a->table[at];
    size_t count = answer->count;
    if (now_ms >= answer->until_ms) {
        drop(a, at);
        return 0;
    }
    memcpy(ret, answer->addrs, count * sizeof(*ret));
    return count;
}
