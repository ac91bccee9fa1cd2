/* Owns port sets. Never holds overlapping ranges, never takes a number it was not given in full. */
#include "policy/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"

/* One port, written plainly. 0 or -EINVAL. */
static int parse_port(const char *text, size_t len, bool zero_ok, uint16_t *ret)
{
    uint64_t value;
    if (sl_num_parse_plain(text, len, UINT16_MAX, &value) < 0 || (value == 0 && !zero_ok)) {
        return -EINVAL;
    }
    *ret = (uint16_t)value;
    return 0;
}

int sl_ports_add_range(sl_ports *ports, uint16_t lo, uint16_t hi)
{
    size_t first = 0;
    while (first < ports->count && (unsigned)ports->ranges[first].hi + 1 < lo) {
        first++;
    }
    size_t last = first; /* one past the ranges that touch [lo, hi] */
    while (last < ports->count && ports->ranges[last].lo <= (unsigned)hi + 1) {
        lo = ports->ranges[last].lo < lo ? ports->ranges[last].lo : lo;
        hi = ports->ranges[last].hi > hi ? ports->ranges[last].hi : hi;
        last++;
    }
    size_t count = ports->count - (last - first) + 1;
    if (count > SL_PORTS_MAX) {
        return -ENOBUFS;
    }
    if (count > ports->count) {
        sl_port_range *ranges = realloc(ports->ranges, count * sizeof(*ranges));
        if (ranges == NULL) {
            return -ENOMEM;
        }
        ports->ranges = ranges;
    }
    memmove(ports->ranges + first + 1, ports->ranges + last,
            (ports->count - last) * sizeof(*ports->ranges));
    ports->ranges[first] = (sl_port_range){.lo = lo, .hi = hi};
    ports->count = count;
    return 0;
}

static int parse_word(const char *word, size_t len, bool zero_ok, sl_port_range *ret)
{
    const char *dash = memchr(word, '-', len);
    size_t n = dash == NULL ? len : (size_t)(dash - word);
    if (parse_port(word, n, zero_ok, &ret->lo) < 0) {
        return -EINVAL;
    }
    ret->hi = ret->lo;
    if (dash != NULL &&
        (parse_port(dash + 1, len - n - 1, zero_ok, &ret->hi) < 0 || ret->hi < ret->lo)) {
        return -EINVAL;
    }
    return 0;
}

/* A list is taken whole or not at all: half of one would be a rule that nobody wrote. */
static int check_words(const char *word, bool zero_ok, const char *what, sl_error *err)
{
    sl_port_range range;
    for (;;) {
        size_t len = strcspn(word, ",");
        if (parse_word(word, len, zero_ok, &range) < 0) {
            return sl_error_usage(err,
                                  "%s: '%.*s' is not a port: expected %d to 65535 or a range "
                                  "'9000-9005', separated by commas",
                                  what, (int)(len > 64 ? 64 : len), word, zero_ok ? 0 : 1);
        }
        if (word[len] == '\0') {
            return 0;
        }
        word += len + 1;
    }
}

static int copy_ranges(const sl_ports *from, sl_ports *to)
{
    *to = (sl_ports){0};
    if (from->count == 0) {
        return 0;
    }
    to->ranges = malloc(from->count * sizeof(*to->ranges));
    if (to->ranges == NULL) {
        return -ENOMEM;
    }
    memcpy(to->ranges, from->ranges, from->count * sizeof(*to->ranges));
    to->count = from->count;
    return 0;
}

int sl_ports_add(sl_ports *ports, const char *text, bool zero_ok, const char *what, sl_error *err)
{
    sl_ports more;
    int r = check_words(text, zero_ok, what, err);
    if (r < 0) {
        return r;
    }
    r = copy_ranges(ports, &more);
    for (const char *word = text; r == 0;) {
        sl_port_range range;
        size_t len = strcspn(word, ",");
        (void)parse_word(word, len, zero_ok, &range);
        r = sl_ports_add_range(&more, range.lo, range.hi);
        if (word[len] == '\0') {
            break;
        }
        word += len + 1;
    }
    if (r < 0) {
        sl_ports_done(&more);
        return r == -ENOBUFS
                   ? sl_error_usage(err, "%s: more than %d port ranges", what, SL_PORTS_MAX)
                   : sl_error_set(err, -r, "no memory for ports");
    }
    sl_ports_done(ports);
    *ports = more;
    return 0;
}

bool sl_ports_has(const sl_ports *ports, uint16_t port)
{
    for (size_t i = 0; i < ports->count && ports->ranges[i].lo <= port; i++) {
        if (port <= ports->ranges[i].hi) {
            return true;
        }
    }
    return false;
}

void sl_ports_done(sl_ports *ports)
{
    free(ports->ranges);
    *ports = (sl_ports){0};
}
