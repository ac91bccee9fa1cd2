/* HTTP rules and paths: line one is a rule, line two the path of a request, line three its query.
 * Aborts when a normal form is not its own normal form, when the advice of a denial does not help,
 * or when an encoded slash is allowed that would not be allowed as a slash. */
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

/* The other reading of a path; what it was spelt in is kept. */
static char *decode_slashes(const char *path)
{
    char *out = strdup(path);
    check(out != NULL, "memory");
    char *to = out;
    for (const char *p = path; *p != '\0'; p++) {
        bool coded = strncmp(p, "%2F", 3) == 0;
        *to++ = coded ? '/' : *p;
        p += coded ? 2 : 0;
    }
    *to = '\0';
    return out;
}

static void check_decoded(const sl_policy *p, const char *rule, const sl_http_view *view)
{
    sl_autofree char *path = decode_slashes(view->path);
    sl_autofree char *again = malloc(strlen(path) + 2);
    sl_http_view decoded = *view;
    sl_http_verdict verdict;
    decoded.path = path;
    check(again != NULL, "memory");
    check(sl_http_path_normalise(path, strlen(path), again) >= 0 && strcmp(path, again) == 0,
          "the other reading is a normal form");
    sl_policy_judge_http(p, &decoded, &verdict);
    check(verdict.allow || strstr(rule, "%2F") != NULL || strstr(rule, "%2f") != NULL,
          "what is allowed encoded is allowed plain");
}

static void judge(const char *rule, const char *path, const char *query)
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
                             .query = query};
        sl_http_verdict verdict;
        sl_policy_judge_http(p, &view, &verdict);
        if (verdict.allow) {
            check(verdict.rule != NULL && strcmp(verdict.rule, rule) == 0, "the rule is named");
            if (path[0] == '/') {
                check_decoded(p, rule, &view);
            }
        } else {
            check(verdict.allow_with[0] != '\0', "a denial comes with advice");
            check_advice(&view, verdict.allow_with);
        }
    }
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
    check(normal != NULL, "memory");
    int n = sl_http_path_normalise(path, len, normal);
    if (n < 0) {
        judge(rule, "/", query);
        return 0;
    }
    check((size_t)n <= len && normal[0] == '/' && strlen(normal) == (size_t)n, "a normal form");
    check(strstr(normal, "//") == NULL && strstr(normal, "/../") == NULL &&
              strstr(normal, "/./") == NULL,
          "no dots, no empty segment");
    sl_autofree char *again = malloc((size_t)n + 2);
    check(again != NULL, "memory");
    check(sl_http_path_normalise(normal, (size_t)n, again) == n && strcmp(normal, again) == 0,
          "the normal form is its own");
    judge(rule, normal, query);
    return 0;
}
