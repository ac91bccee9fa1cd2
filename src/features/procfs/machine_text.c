/* Owns the rewriting of what /proc says of processors and memory. Never reads a file. */
#include "features/procfs/machine_text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"

#define TIMES_MAX 10 /* columns of a processor in proc_stat(5) */

static size_t line_length(const char *line)
{
    const char *end = strchr(line, '\n');
    return end == NULL ? strlen(line) : (size_t)(end - line) + 1;
}

static bool begins(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

/* True for "NAME\t: value" or "NAME : value". */
static bool is_key(const char *line, const char *name)
{
    const char *rest = line + strlen(name);
    return begins(line, name) && rest[strspn(rest, " \t")] == ':';
}

/* The block of a core, or the first one. NULL when there is none. */
static const char *find_block(const char *real, unsigned core)
{
    const char *first = NULL;
    for (const char *line = real; *line != '\0'; line += line_length(line)) {
        if (is_key(line, "processor")) {
            first = first == NULL ? line : first;
            if (sl_num_after(line, ":", UINT64_MAX) == core) {
                return line;
            }
        }
    }
    return first;
}

/* One package with as many cores as are shown: whoever counts packages, cores or threads counts the
 * same. */
static int put_block(const char *block, unsigned number, unsigned shown, sl_buf *out)
{
    const struct {
        const char *name;
        unsigned value;
    } keys[] = {{"processor", number},     {"physical id", 0},   {"siblings", shown},
                {"core id", number},       {"cpu cores", shown}, {"apicid", number},
                {"initial apicid", number}};
    int r = 0;
    size_t n;
    for (const char *line = block; r == 0 && *line != '\0' && *line != '\n'; line += n) {
        n = line_length(line);
        size_t k = 0;
        while (k < SL_ARRAY_LEN(keys) && !is_key(line, keys[k].name)) {
            k++;
        }
        if (k == SL_ARRAY_LEN(keys)) {
            r = sl_buf_append(out, line, n);
        } else {
            size_t head = (size_t)(strchr(line, ':') - line);
            r = sl_buf_append(out, line, head);
            r = r < 0 ? r : sl_buf_printf(out, ": %u\n", keys[k].value);
        }
    }
    return r < 0 ? r : sl_buf_append_str(out, "\n");
}

int sl_machine_cpuinfo(const char *real, const sl_machine_cores *cores, sl_buf *out)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < cores->shown; i++) {
        const char *block = find_block(real, cores->core_of(cores->arg, i));
        r = block == NULL ? -ENODATA : put_block(block, i, cores->shown, out);
    }
    return r;
}

/* The times behind "cpuN ". False when this is no such line. */
static bool read_times(const char *line, unsigned core, uint64_t times[TIMES_MAX])
{
    uint64_t number;
    if (!begins(line, "cpu")) {
        return false;
    }
    const char *at = line + 3;
    if (sl_num_take(&at, UINT_MAX, &number) < 0 || number != core || *at != ' ') {
        return false;
    }
    for (size_t i = 0; i < TIMES_MAX; i++) {
        times[i] = 0; /* fewer columns: the rest is 0 */
        (void)sl_num_next(&at, &times[i]);
    }
    return true;
}

static int put_times(const char *name, const uint64_t times[TIMES_MAX], sl_buf *out)
{
    int r = sl_buf_append_str(out, name);
    for (size_t i = 0; r == 0 && i < TIMES_MAX; i++) {
        r = sl_buf_printf(out, " %" PRIu64, times[i]);
    }
    return r < 0 ? r : sl_buf_append_str(out, "\n");
}

/* The times of a core; those of an offline one are 0. */
static void find_times(const char *real, unsigned core, uint64_t times[TIMES_MAX])
{
    memset(times, 0, TIMES_MAX * sizeof(*times));
    for (const char *line = real; *line != '\0' && begins(line, "cpu"); line += line_length(line)) {
        if (read_times(line, core, times)) {
            return;
        }
    }
}

int sl_machine_stat(const char *real, const sl_machine_cores *cores, sl_buf *out)
{
    uint64_t sum[TIMES_MAX] = {0};
    uint64_t times[TIMES_MAX];
    char name[24];
    for (unsigned i = 0; i < cores->shown; i++) {
        find_times(real, cores->core_of(cores->arg, i), times);
        for (size_t k = 0; k < TIMES_MAX; k++) {
            sum[k] += times[k];
        }
    }
    int r = put_times("cpu ", sum, out);
    for (unsigned i = 0; r == 0 && i < cores->shown; i++) {
        find_times(real, cores->core_of(cores->arg, i), times);
        snprintf(name, sizeof(name), "cpu%u", i);
        r = put_times(name, times, out);
    }
    const char *rest = real;
    while (begins(rest, "cpu")) {
        rest += line_length(rest);
    }
    return r < 0 ? r : sl_buf_append_str(out, rest);
}

int sl_machine_meminfo(const char *real, uint64_t total, uint64_t used, sl_buf *out)
{
    uint64_t total_kb = total / 1024;
    uint64_t free_kb = used < total ? (total - used) / 1024 : 0;
    const struct {
        const char *name;
        uint64_t kb;
    } keys[] = {{"MemTotal", total_kb}, {"MemFree", free_kb}, {"MemAvailable", free_kb},
                {"Buffers", 0},         {"Cached", 0},        {"SwapCached", 0},
                {"Active(file)", 0},    {"SwapTotal", 0},     {"SwapFree", 0},
                {"Inactive(file)", 0},  {"SReclaimable", 0},  {"KReclaimable", 0}};
    int r = 0;
    size_t n;
    for (const char *line = real; r == 0 && *line != '\0'; line += n) {
        n = line_length(line);
        const char *colon = memchr(line, ':', n);
        bool in_kb = n > 4 && memcmp(line + n - 4, " kB\n", 4) == 0;
        if (colon == NULL || !in_kb || begins(line, "Vmalloc") || begins(line, "DirectMap") ||
            begins(line, "Huge")) {
            r = sl_buf_append(out, line, n);
            continue;
        }
        /* the rest is of the whole machine, and never more than is shown of it */
        uint64_t kb = SL_MIN(sl_num_after(colon, ":", 0), total_kb - free_kb);
        for (size_t k = 0; k < SL_ARRAY_LEN(keys); k++) {
            kb = is_key(line, keys[k].name) ? keys[k].kb : kb;
        }
        r = sl_buf_append(out, line, (size_t)(colon - line) + 1);
        int pad = SL_MAX(1, 15 - (int)(colon - line));
        r = r < 0 ? r : sl_buf_printf(out, "%*" PRIu64 " kB\n", pad + 8, kb);
    }
    return r;
}
