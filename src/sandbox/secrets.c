/* Owns the reading of conf/secrets. Never asks the name service: a static program has none. */
#include "sandbox/secrets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/num.h"
#include "core/util.h"

#define PASSWD_MAX (1u << 20)

__asm__(".section .rodata,\"a\"\n"
        ".local secrets_table\n"
        ".local secrets_table_end\n"
        "secrets_table:\n"
        ".incbin \"" SANDLOCK_CONF_DIR "/secrets\"\n"
        "secrets_table_end:\n"
        ".byte 0\n"
        ".previous\n");
extern const char secrets_table[] __attribute__((visibility("hidden")));
extern const char secrets_table_end[] __attribute__((visibility("hidden")));

/* The home of this uid in passwd(5); NULL when there is no such line. Caller frees. */
static char *passwd_home(void)
{
    sl_autofree char *text = NULL;
    size_t len;
    if (sl_fd_read_file("/etc/passwd", PASSWD_MAX, &text, &len) < 0) {
        return NULL;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *fields[7] = {0};
        size_t n = 0;
        while (n < SL_ARRAY_LEN(fields) && line != NULL) {
            fields[n++] = strsep(&line, ":");
        }
        uint64_t uid;
        if (n == SL_ARRAY_LEN(fields) && sl_num_parse_str(fields[2], UINT32_MAX, &uid) == 0 &&
            uid == getuid() && fields[5][0] == '/') {
            return strdup(fields[5]);
        }
    }
    return NULL;
}

static int add(sl_strv *paths, const char *home, const char *path, size_t len)
{
    char *text = NULL;
    if (asprintf(&text, "%s%.*s", home, (int)len, path) < 0) {
        return -ENOMEM;
    }
    return sl_strv_take(paths, text);
}

int sl_secrets_list(sl_strv *ret_paths)
{
    const char *home = getenv("HOME");
    sl_autofree char *other = passwd_home();
    home = home != NULL && home[0] == '/' ? home : NULL;
    if (home != NULL && other != NULL && strcmp(home, other) == 0) {
        home = NULL;
    }
    const char *end;
    for (const char *p = secrets_table; p < secrets_table_end; p = end + 1) {
        end = memchr(p, '\n', (size_t)(secrets_table_end - p));
        end = end == NULL ? secrets_table_end : end;
        size_t len = (size_t)(end - p);
        int r = 0;
        if (len > 0 && p[0] == '/') {
            r = add(ret_paths, "", p, len);
        } else if (len > 1 && p[0] == '~') {
            r = home == NULL ? 0 : add(ret_paths, home, p + 1, len - 1);
            r = r < 0 || other == NULL ? r : add(ret_paths, other, p + 1, len - 1);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
