/* Owns the reading of the user's files for the gateway. A key that was read is overwritten before
 * its memory is given back. */
#include "engine/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/num.h"
#include "core/util.h"

#define TEXTS 4

static void list_texts(sl_files *files, sl_buf *ret[TEXTS])
{
    ret[0] = &files->ca;
    ret[1] = &files->key;
    ret[2] = &files->upstream_ca;
    ret[3] = &files->bundle;
}

void sl_files_init(sl_files *files)
{
    sl_buf *texts[TEXTS];
    *files = (sl_files){.audit_fd = -1};
    list_texts(files, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        sl_buf_init(texts[i], SL_FILES_PEM_MAX);
    }
}

void sl_files_wipe(sl_files *files)
{
    sl_buf *texts[TEXTS];
    if (files->key.data != NULL) {
        explicit_bzero(files->key.data, files->key.cap);
    }
    list_texts(files, texts);
    for (size_t i = 0; i < TEXTS; i++) {
        sl_buf_done(texts[i]);
    }
}

void sl_files_done(sl_files *files)
{
    sl_files_wipe(files);
    sl_close(sl_steal_fd(&files->audit_fd));
}

static int read_pem(const char *path, const char *what, sl_buf *to, sl_error *err)
{
    sl_autofree char *text = NULL;
    size_t len = 0;
    int r = sl_fd_read_file(path, SL_FILES_PEM_MAX, &text, &len);
    if (r == 0 && len == 0) {
        return sl_error_set(err, EINVAL, "cannot use %s '%s': the file is empty", what, path);
    }
    if (r == 0 && strstr(text, "-----BEGIN ") == NULL) {
        return sl_error_set(err, EINVAL, "cannot use %s '%s': it is no PEM file", what, path);
    }
    if (r == 0) {
        r = sl_buf_append(to, text, len);
        r = r < 0 ? r : sl_buf_append(to, "\n", 1);
        explicit_bzero(text, len);
    }
    if (r < 0) {
        return sl_error_set(err, -r, "cannot read %s '%s': %s", what, path, strerror(-r));
    }
    return 0;
}

/* "FILE", "fd:N", or "-" for standard error: standard output is the command's. */
static int open_audit(const char *where, int *ret_fd, sl_error *err)
{
    int fd;
    if (strcmp(where, "-") == 0) {
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    } else if (strncmp(where, "fd:", 3) == 0) {
        uint64_t number = INT_MAX; /* no descriptor: the policy has looked at the text */
        (void)sl_num_parse_str(where + 3, INT_MAX, &number);
        int given = (int)number;
        fd = fcntl(given, F_DUPFD_CLOEXEC, 3);
        /* It tells of the command, which without close_fds would have it too. */
        if (fd >= 0 && given > STDERR_FILENO) {
            (void)sl_fd_set_cloexec(given, true);
        }
    } else {
        fd = open(where, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    }
    if (fd < 0) {
        return sl_error_set(err, errno, "cannot write the audit log '%s': %s", where,
                            strerror(errno));
    }
    *ret_fd = fd;
    return 0;
}

int sl_files_read(const sl_policy *p, sl_files *files, sl_error *err)
{
    int r = 0;
    if (p->audit != NULL) {
        r = open_audit(p->audit, &files->audit_fd, err);
    }
    if (r == 0 && p->http_ca != NULL) {
        r = read_pem(p->http_ca, "CA certificate", &files->ca, err);
    }
    if (r == 0 && p->http_key != NULL) {
        r = read_pem(p->http_key, "CA key", &files->key, err);
    }
    for (size_t i = 0; r == 0 && i < p->http_upstream_ca.count; i++) {
        r = read_pem(p->http_upstream_ca.items[i], "upstream CA", &files->upstream_ca, err);
    }
    return r;
}
