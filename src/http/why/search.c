/* Owns the knowledge of search domains. It changes no answer: only whether one is told as a denial.
 */
#include "http/why/search.h"

#include <stdlib.h>
#include <string.h>

#include "core/fd.h"
#include "core/util.h"
#include "policy/host.h"
#include "policy/verdict.h"

#define RESOLV_FILE "/etc/resolv.conf"
#define RESOLV_MAX  (64u << 10)
#define BLANKS      " \t\r"

/* Is `name` one that is granted, with this domain behind it? */
static bool ends_in(const sl_policy *policy, const char *name, const char *word, size_t len)
{
    char text[SL_HOST_NAME_MAX];
    char domain[SL_HOST_NAME_MAX];
    char before[SL_HOST_NAME_MAX];
    if (len == 0 || len >= sizeof(text)) {
        return false;
    }
    memcpy(text, word, len);
    text[len] = '\0';
    if (sl_host_name_normalise(text, domain) < 0) {
        return false;
    }
    size_t n = strlen(name);
    size_t m = strlen(domain);
    if (n < m + 2 || name[n - m - 1] != '.' || strcmp(name + n - m, domain) != 0) {
        return false;
    }
    memcpy(before, name, n - m - 1);
    before[n - m - 1] = '\0';
    return sl_policy_grants_name(policy, before);
}

/* The words behind "search" or "domain" in one line. */
static bool line_expands(const sl_policy *policy, const char *name, const char *line, size_t len)
{
    const char *end = line + len;
    if (len < 7 || (strncmp(line, "search", 6) != 0 && strncmp(line, "domain", 6) != 0) ||
        strchr(BLANKS, line[6]) == NULL) {
        return false;
    }
    for (const char *p = line + 6; p < end;) {
        p += strspn(p, BLANKS);
        size_t n = SL_MIN(strcspn(p, BLANKS "\n"), (size_t)(end - p));
        if (n == 0) {
            break;
        }
        if (ends_in(policy, name, p, n)) {
            return true;
        }
        p += n;
    }
    return false;
}

bool sl_search_expands(const sl_policy *policy, const char *name, const char *conf)
{
    for (const char *p = conf; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        if (line_expands(policy, name, p, n)) {
            return true;
        }
        p += n + (p[n] == '\n' ? 1 : 0);
    }
    return false;
}

bool sl_search_is_expansion(const sl_policy *policy, const char *name)
{
    sl_autofree char *text = NULL;
    size_t len;
    return sl_fd_read_file(RESOLV_FILE, RESOLV_MAX, &text, &len) == 0 &&
           sl_search_expands(policy, name, text);
}
