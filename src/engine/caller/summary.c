/* Owns the words of the summary. What a child chose (names, paths, programs) is made printable; one
 * denial is one line. */
#include "engine/caller/summary.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/text.h"
#include "core/util.h"
#include "engine/start/proxies.h"

#define PROXY_WHY                                                                                  \
    "a proxy that the environment names: who reaches it reaches everything, whatever the rules "   \
    "say"

/* "(1000 times) by curl, from ... to ..."; nothing for a single denial by nobody that is known. */
static void write_circumstances(const sl_denial *d)
{
    char first[SL_CLOCK_ISO_MAX];
    char last[SL_CLOCK_ISO_MAX];
    if (d->count > 1) {
        fprintf(stderr, " (%llu times)", (unsigned long long)d->count);
    }
    if (d->programs[0] != '\0') {
        fprintf(stderr, " by %s", d->programs);
    }
    if (d->count > 1) {
        fprintf(stderr, ", from %s to %s", sl_clock_iso_of(d->first_ms, first),
                sl_clock_iso_of(d->last_ms, last));
    }
}

static void write_line(sl_denial *d)
{
    sl_printable(d->what);
    sl_printable(d->allow_with);
    sl_printable(d->why);
    sl_printable(d->programs);
    fprintf(stderr, "sandlock:   %s", d->what);
    write_circumstances(d);
    fprintf(stderr, "%s%s%s%s\n", d->why[0] == '\0' ? "" : ": ", d->why,
            d->allow_with[0] == '\0' ? "" : ":  ", d->allow_with);
}

static void write_group(const sl_denials *t, bool helped, const char *heading)
{
    uint64_t count = 0;
    size_t lines = 0;
    for (size_t i = 0; i < t->count; i++) {
        bool in = (t->items[i].allow_with[0] != '\0') == helped;
        count += in ? t->items[i].count : 0;
        lines += in ? 1 : 0;
    }
    if (lines == 0) {
        return;
    }
    fprintf(stderr, "sandlock: %llu %s:\n", (unsigned long long)count, heading);
    size_t shown = 0;
    for (size_t i = 0; i < t->count && shown < SL_SUMMARY_SHOWN_MAX; i++) {
        if ((t->items[i].allow_with[0] != '\0') == helped) {
            write_line(&t->items[i]);
            shown++;
        }
    }
    if (lines > shown) {
        fprintf(stderr, "sandlock:   and %zu more\n", lines - shown);
    }
}

void sl_summary_write(sl_denials *t, const sl_strv *proxies)
{
    for (size_t i = 0; i < t->count; i++) {
        sl_denial *d = &t->items[i];
        if (d->allow_with[0] != '\0' && d->host[0] != '\0' &&
            sl_proxies_have(proxies, d->host, d->port)) {
            d->allow_with[0] = '\0';
            snprintf(d->why, sizeof(d->why), "%s", PROXY_WHY);
        }
    }
    sl_denials_sort(t);
    write_group(t, true, "denied; to allow");
    write_group(t, false, "denied; no option allows it");
    if (t->unlisted > 0) {
        fprintf(stderr, "sandlock: %llu denied that are not listed (--audit has them all)\n",
                (unsigned long long)t->unlisted);
    }
}
