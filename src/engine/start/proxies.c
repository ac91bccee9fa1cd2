/* Owns the knowledge of variables that name proxies. Their values may hold passwords: they are
 * never shown. */
#include "engine/start/proxies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/addr.h"
#include "core/num.h"
#include "core/util.h"

#define HOST_MAX 254

/* Does the name end in `tail`, as a word of its own? */
static bool ends_in(const char *name, size_t len, const char *tail)
{
    size_t n = strlen(tail);
    return len >= n && strncasecmp(name + len - n, tail, n) == 0 &&
           (len == n || name[len - n - 1] == '_');
}

/* Behind whatever a program puts before it: CARGO_HTTP_PROXY, npm_config_https_proxy. A variable
 * like TRUST_PROXY says something else. */
static bool is_name(const char *name, size_t len)
{
    static const char *const tails[] = {
        "http_proxy",  "https_proxy",      "all_proxy", "ftp_proxy",         "no_proxy",
        "socks_proxy", "socks5_proxy",     "ws_proxy",  "wss_proxy",         "grpc_proxy",
        "rsync_proxy", "npm_config_proxy", "pip_proxy", "npm_config_noproxy"};
    for (size_t i = 0; i < SL_ARRAY_LEN(tails); i++) {
        if (ends_in(name, len, tails[i])) {
            return true;
        }
    }
    return false;
}

bool sl_proxies_is_variable(const char *pair)
{
    const char *equals = strchr(pair, '=');
    return equals != NULL && is_name(pair, (size_t)(equals - pair));
}

/* [scheme://][user[:password]@]host[:port][/...], as curl reads it. False: no host. */
static bool split(const char *value, char host[HOST_MAX], uint16_t *ret_port)
{
    const char *at = strstr(value, "://");
    uint64_t port = 0;
    at = at != NULL ? at + 3 : value;
    size_t len = strcspn(at, "/?#");
    const char *user = memrchr(at, '@', len);
    if (user != NULL) {
        len -= (size_t)(user + 1 - at);
        at = user + 1;
    }
    const char *close = at[0] == '[' ? memchr(at, ']', len) : NULL;
    const char *colon = memrchr(at, ':', len);
    size_t host_len = len;
    if (colon != NULL && (close == NULL || colon > close)) {
        host_len = (size_t)(colon - at);
        (void)sl_num_parse(colon + 1, len - host_len - 1, UINT16_MAX, &port);
    }
    if (close != NULL) {
        at++;
        host_len = (size_t)(close - at);
    }
    if (host_len == 0 || host_len >= HOST_MAX) {
        return false;
    }
    memcpy(host, at, host_len);
    host[host_len] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

int sl_proxies_add(sl_strv *proxies, const char *pair)
{
    char host[HOST_MAX];
    char word[HOST_MAX + 8];
    uint16_t port = 0;
    const char *equals = strchr(pair, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - pair);
    if (equals == NULL || !is_name(pair, len) || ends_in(pair, len, "no_proxy") ||
        ends_in(pair, len, "npm_config_noproxy") || !split(equals + 1, host, &port)) {
        return 0;
    }
    snprintf(word, sizeof(word), "%s:%u", host, port);
    return sl_strv_has(proxies, word) ? 0 : sl_strv_add(proxies, word);
}

static bool is_loopback(const char *host)
{
    sl_addr addr;
    return strcasecmp(host, "localhost") == 0 ||
           (sl_addr_parse(host, &addr) == 0 && (sl_addr_classify(&addr) & SL_ADDR_LOOPBACK) != 0);
}

static bool is_same_host(const char *a, const char *b)
{
    sl_addr x;
    sl_addr y;
    if (sl_addr_parse(a, &x) == 0 && sl_addr_parse(b, &y) == 0 && sl_addr_equal(&x, &y)) {
        return true;
    }
    return strcasecmp(a, b) == 0 || (is_loopback(a) && is_loopback(b));
}

bool sl_proxies_have(const sl_strv *proxies, const char *host, uint16_t port)
{
    for (size_t i = 0; i < proxies->count; i++) {
        char known[HOST_MAX + 8];
        snprintf(known, sizeof(known), "%s", proxies->items[i]);
        char *colon = strrchr(known, ':');
        uint64_t known_port = 0;
        (void)sl_num_parse(colon + 1, strlen(colon + 1), UINT16_MAX, &known_port);
        *colon = '\0';
        if ((known_port == 0 || port == 0 || known_port == port) && is_same_host(known, host)) {
            return true;
        }
    }
    return false;
}
