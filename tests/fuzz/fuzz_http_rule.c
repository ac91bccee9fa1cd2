/* HTTP rules and paths: line one is a rule, line two the path of a request, line three its query.
 * Aborts when a normal form is not its own normal form, when the advice of a denial does not help,
 * or when a path is allowed that would not be allowed in another reading. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "policy/http/rule.h"
#include "policy/verdict.h"

#define INPUT_MAX 4096

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* Cuts a line off; the rest is empty at the end. */
static char *take_line(char **rest)
{
    char *line = *rest;
    char *end = strchr(line, '\n');
    *rest = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL) {
        *end = '\0';
    }
    return line;
}

static sl_policy *policy_of(const char *rule)
{
    sl_error err;
    sl_policy *p = sl_policy_new();
    const sl_field *field = sl_field_by_name("http_allow");
    check(p != NULL && field != NULL, "memory");
    if (sl_policy_set(p, field, rule, &err) < 0) {
        check(err.message[0] != '\0', "an error has a message");
        sl_policy_free(p);
        return NULL;
    }
    check(sl_policy_freeze(p, &err) == 0, "a policy of one rule freezes");
    return p;
}

/* What a POSIX shell makes of "--http-allow 'word'". */
static void unquote(const char *flag, char *out)
{
    bool quoted = false;
    for (flag += strlen("--http-allow "); *flag != '\0'; flag++) {
        if (*flag == '\'') {
            quoted = !quoted;
        } else {
            check(quoted || *flag == '\\', "every byte is quoted");
            *out++ = quoted ? *flag : *++flag;
        }
    }
    *out = '\0';
    check(!quoted, "the quote ends");
}

static void check_advice(const sl_http_view *view, const char *flag)
{
    char rule[SL_SUGGESTION_MAX];
    sl_http_verdict verdict;
    for (const char *c = flag; *c != '\0'; c++) {
        check((unsigned char)*c >= 0x20 && *c != 0x7f, "no control byte in advice");
    }
    unquote(flag, rule);
    SL_AUTO(sl_policy) better = policy_of(rule);
    check(better != NULL, "advice can be parsed");
    sl_policy_judge_http(better, view, &verdict);
    check(verdict.allow, "advice helps");
}

/* One way a server may read a path: codes of slashes decoded, or slashes merged, or both. */
static char *read_path(const char *path, bool decode, bool merge)
{
    char *out = strdup(path);
    check(out != NULL, "memory");
    char *to = out;
    for (const char *p = path; *p != '\0'; p++) {
        bool coded = decode && (strncmp(p, "%2F", 3) == 0 || strncmp(p, "%5C", 3) == 0);
        char c = coded ? '/' : *p;
        p += coded ? 2 : 0;
        if (!merge || c != '/' || to == out || to[-1] != '/') {
            *to++ = c;
        }
    }
    *to = '\0';
    return out;
}

/* What a rule that has one reading allows, it allows in each reading of the path. */
static void check_readings(const sl_policy *p, const char *rule, const sl_http_view *view)
{
    const char *slash = strchr(rule, '/');
    if (view->path_unclear || (slash != NULL && strpbrk(slash, "%;") != NULL) ||
        strstr(rule, "//") != NULL) {
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        sl_autofree char *path = read_path(view->path, (i & 1) != 0, (i & 2) != 0);
        sl_http_view reading = *view;
        sl_http_verdict verdict;
        reading.path = path;
        sl_policy_judge_http(p, &reading, &verdict);
        check(verdict.allow, "what is allowed is allowed in each reading");
    }
}

static void judge(const char *rule, const char *path, bool unclear, const char *query)
{
    static const char *const methods[] = {"GET", "POST"};
    SL_AUTO(sl_policy) p = policy_of(rule);
    if (p == NULL) {
        return;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(methods); i++) {
        sl_http_view view = {.tls = true,
                             .method = methods[i],
                             .host = "api.example.com",
                             .port = 443,
                             .path = path,
                             .path_unclear = unclear,
                             .query = query};
        sl_http_verdict verdict;
        sl_policy_judge_http(p, &view, &verdict);
        if (verdict.allow) {
            check(verdict.rule != NULL && strcmp(verdict.rule, rule) == 0, "the rule is named");
            if (path[0] == '/') {
                check_readings(p, rule, &view);
            }
        } else {
            check(verdict.allow_with[0] != '\0', "a denial comes with advice");
            check_advice(&view, verdict.allow_with);
        }
    }
}

/* The normal form of `path` is `normal`. What made it unclear may be gone with the dots. */
static void check_form(const char *path, const char *normal, bool unclear)
{
    size_t len = strlen(path);
    sl_autofree char *again = malloc(len + 2);
    check(again != NULL, "memory");
    sl_http_path forms = {.normal = again};
    int n = sl_http_path_normalise(path, len, &forms);
    check(n >= 0 && strcmp(again, normal) == 0, "the normal form is its own");
    check(!forms.unclear || unclear, "it gets no less clear");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[INPUT_MAX + 1];
    if (size > INPUT_MAX) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    char *rest = text;
    const char *rule = take_line(&rest);
    const char *path = take_line(&rest);
    const char *query = take_line(&rest);
    size_t len = strlen(path);
    sl_autofree char *normal = malloc(len + 2);
    sl_autofree char *sent = malloc(len + 2);
    check(normal != NULL && sent != NULL, "memory");
    sl_http_path forms = {.normal = normal, .sent = sent};
    int n = sl_http_path_normalise(path, len, &forms);
    if (n < 0) {
        judge(rule, "/", false, query);
        return 0;
    }
    check((size_t)n <= len && normal[0] == '/' && strlen(normal) == (size_t)n, "a normal form");
    check(strstr(normal, "/../") == NULL && strstr(normal, "/./") == NULL, "no dots");
    check(strlen(sent) <= len && sent[0] == '/', "what is sent");
    if (!forms.unclear) { /* a lone '%' may join what was decoded behind it; no rule looks at it */
        check_form(normal, normal, false);
    }
    check_form(sent, normal, forms.unclear);
    judge(rule, normal, forms.unclear, query);
    return 0;
}
