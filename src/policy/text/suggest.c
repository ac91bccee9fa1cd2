/* Owns the words that messages suggest. Never emits a control byte, never an unquoted word. */
#include "policy/text/suggest.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "policy/unix_rule.h"
#include "policy/verdict.h"

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    return c == '_' ? '-' : c;
}

size_t sl_suggest_distance(const char *a, const char *b)
{
    size_t n = strlen(a);
    size_t m = strlen(b);
    size_t rows[3][SL_SUGGEST_WORD_MAX + 1];
    if (n > SL_SUGGEST_WORD_MAX || m > SL_SUGGEST_WORD_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= m; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i + 2) % 3];
        const size_t *up2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            size_t d = up[j - 1] + (same ? 0 : 1);
            d = SL_MIN(d, up[j] + 1);
            d = SL_MIN(d, row[j - 1] + 1);
            if (i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) &&
                fold(a[i - 2]) == fold(b[j - 1])) {
                d = SL_MIN(d, up2[j - 2] + 1);
            }
            row[j] = d;
        }
    }
    return rows[n % 3][m];
}

bool sl_suggest_near(size_t distance, size_t length)
{
    return distance <= 1 + length / 4;
}

int sl_suggest_option(const char *option, const char *word, char *out, size_t size)
{
    size_t n = strlen(option);
    if (n + 4 > size) {
        goto refuse;
    }
    memcpy(out, option, n);
    out[n++] = ' ';
    out[n++] = '\'';
    for (; *word != '\0'; word++) {
        const char *piece = *word == '\'' ? "'\\''" : word;
        size_t len = *word == '\'' ? 4 : 1;
        if ((unsigned char)*word < 0x20 || *word == 0x7f || n + len + 2 > size) {
            goto refuse;
        }
        memcpy(out + n, piece, len);
        n += len;
    }
    out[n++] = '\'';
    out[n] = '\0';
    return 0;
refuse:
    if (size > 0) {
        out[0] = '\0';
    }
    return -EINVAL;
}

/* A star in the name of a socket would be one of the rule's. */
static void suggest_unix(const char *path, char ret[SL_SUGGESTION_MAX])
{
    char word[SL_SUGGESTION_MAX];
    int n = snprintf(word, sizeof(word), SL_UNIX_RULE_SCHEME "%s", path);
    ret[0] = '\0';
    if (path[0] == '@') { /* an abstract name, which no rule can have */
        snprintf(ret, SL_SUGGESTION_MAX, "--isolate-ipc=false");
    } else if (n > 0 && (size_t)n < sizeof(word) && strchr(path, '*') == NULL) {
        (void)sl_suggest_option("--net-allow", word, ret, SL_SUGGESTION_MAX);
    }
}

static void suggest(const sl_dest *dest, const char *scheme, char ret[SL_SUGGESTION_MAX])
{
    char addr[SL_ADDR_STR_MAX];
    char word[SL_HOST_NAME_MAX + 32];
    bool v6 = dest->name == NULL && dest->addr.family == 6;
    const char *host = dest->name != NULL ? dest->name : sl_addr_format(&dest->addr, addr);
    ret[0] = '\0';
    if (host[0] == '\0') {
        return;
    }
    int n = snprintf(word, sizeof(word), v6 ? "%s[%s]" : "%s%s", scheme, host);
    if (dest->proto != SL_PROTO_ICMP && dest->port != 0) {
        snprintf(word + n, sizeof(word) - (size_t)n, ":%u", dest->port);
    }
    (void)sl_suggest_option("--net-allow", word, ret, SL_SUGGESTION_MAX);
}

void sl_policy_suggest_net(const sl_dest *dest, char ret[SL_SUGGESTION_MAX])
{
    if (dest->proto == SL_PROTO_UNIX) {
        suggest_unix(dest->name, ret);
        return;
    }
    suggest(dest,
            dest->proto == SL_PROTO_UDP    ? "udp://"
            : dest->proto == SL_PROTO_ICMP ? "icmp://"
                                           : "",
            ret);
}

void sl_policy_suggest_tcp(const sl_dest *dest, char ret[SL_SUGGESTION_MAX])
{
    suggest(dest, "tcp://", ret);
}

void sl_policy_suggest_resolve(const char *name, const sl_addr *addr, char ret[SL_SUGGESTION_MAX])
{
    char text[SL_ADDR_STR_MAX];
    char word[SL_HOST_NAME_MAX + SL_ADDR_STR_MAX + 4];
    ret[0] = '\0';
    if (addr->family != 0 &&
        (sl_addr_classify(addr) & (SL_ADDR_LINK_LOCAL | SL_ADDR_METADATA)) == 0) {
        snprintf(word, sizeof(word), addr->family == 6 ? "%s=[%s]" : "%s=%s", name,
                 sl_addr_format(addr, text));
        (void)sl_suggest_option("--resolve", word, ret, SL_SUGGESTION_MAX);
    }
}
