/* Owns the bundle of authorities that the child gets, put together as text: no certificate is
 * decoded. Never gives the child anything of a file but certificates. */
#include "net/tls/bundle.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fd.h"
#include "core/util.h"
#include "net/tls/pem.h"
#include "net/tls/roots_int.h"

struct seen {
    size_t off; /* of the body in the buffer's readable part */
    size_t len;
};

/* What a text of ours has already: clean bodies, below. */
struct index {
    const sl_buf *text;
    struct seen *items;
    size_t count;
    size_t cap;
};

static bool index_has(const struct index *index, const char *body, size_t len)
{
    for (size_t i = 0; i < index->count; i++) {
        const struct seen *seen = &index->items[i];
        if (seen->len == len && memcmp(sl_buf_head(index->text) + seen->off, body, len) == 0) {
            return true;
        }
    }
    return false;
}

static int index_add(struct index *index, size_t off, size_t len)
{
    if (index->count == SL_BUNDLE_CERTS_MAX) {
        return -ENOBUFS;
    }
    if (index->count == index->cap) {
        size_t cap = index->cap == 0 ? 256 : index->cap * 2;
        struct seen *items = realloc(index->items, cap * sizeof(*items));
        if (items == NULL) {
            return -ENOMEM;
        }
        index->items = items;
        index->cap = cap;
    }
    index->items[index->count++] = (struct seen){.off = off, .len = len};
    return 0;
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '=';
}

/* Copies a body as bare lines, each ended: without CR and blanks. 0 when it is not base64: strict
 * readers (rustls) drop a whole file for one bad block. */
static size_t clean_body(const char *body, size_t len, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = body[i];
        if (c == '\r' || c == ' ' || c == '\t' || (c == '\n' && (n == 0 || out[n - 1] == '\n'))) {
            continue;
        }
        if (c != '\n' && !is_base64(c)) {
            return 0;
        }
        out[n++] = c;
    }
    if (n > 0 && out[n - 1] != '\n') {
        out[n++] = '\n';
    }
    return n;
}

/* Adds one that neither `out` nor `known` has; no `known`: NULL. */
static int add_block(sl_buf *out, struct index *index, const struct index *known, const char *body,
                     size_t len)
{
    sl_autofree char *clean = malloc(len + 2);
    if (clean == NULL) {
        return -ENOMEM;
    }
    size_t n = clean_body(body, len, clean);
    if (n == 0 || index_has(index, clean, n) || (known != NULL && index_has(known, clean, n))) {
        return 0;
    }
    int r = sl_buf_append_str(out, SL_PEM_BEGIN "\n");
    size_t off = out->len;
    r = r < 0 ? r : sl_buf_append(out, clean, n);
    r = r < 0 ? r : sl_buf_append_str(out, SL_PEM_END "\n");
    return r < 0 ? r : index_add(index, off, n);
}

static int index_make(struct index *index, const sl_buf *of)
{
    const char *start = (const char *)sl_buf_head(of);
    const char *text = start;
    const char *body;
    size_t len;
    int r = 0;
    *index = (struct index){.text = of};
    while (r == 0 && text != NULL && sl_pem_next(&text, start + of->len, &body, &len)) {
        /* Ours begin with one newline, which clean bodies do not have. */
        r = len > 0 ? index_add(index, (size_t)(body + 1 - start), len - 1) : 0;
    }
    return r;
}

static int add_pem(sl_buf *out, const struct index *known, const char *pem, size_t len)
{
    struct index index;
    const char *text = pem;
    const char *body;
    size_t body_len;
    int r = index_make(&index, out);
    while (r == 0 && sl_pem_next(&text, pem + len, &body, &body_len)) {
        r = add_block(out, &index, known, body, body_len);
    }
    free(index.items);
    return r;
}

int sl_bundle_add_pem(sl_buf *out, const char *pem, size_t len)
{
    return add_pem(out, NULL, pem, len);
}

/* 0, -ENOENT and the like when it cannot be read, -ENOMEM or -ENOBUFS. */
static int bundle_file(sl_buf *out, const char *path)
{
    sl_autofree char *pem = NULL;
    size_t len = 0;
    int r = sl_fd_read_file(path, SL_BUNDLE_MAX, &pem, &len);
    return r < 0 ? r : sl_bundle_add_pem(out, pem, len);
}

/* No bundle file, but a hashed directory: its files one after the other. */
static int bundle_dir(sl_buf *out, const char *path)
{
    sl_autofree char *file = NULL;
    int r = 0;
    size_t seen = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && r == 0 && seen++ < SL_ROOTS_HASHED_MAX &&
           (entry = readdir(dir)) != NULL) {
        if (!sl_roots_is_hashed(entry->d_name)) {
            continue;
        }
        free(sl_steal(&file));
        if (asprintf(&file, "%s/%s", path, entry->d_name) < 0) {
            file = NULL;
            r = -ENOMEM;
            break;
        }
        int one = bundle_file(out, file);
        r = one == -ENOMEM || one == -ENOBUFS ? one : 0;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return r;
}

static bool is_fatal(int r)
{
    return r == -ENOMEM || r == -ENOBUFS;
}

static int bundle_system(sl_buf *out, const sl_roots_places *places)
{
    size_t before = out->len;
    int r = 0;
    for (size_t i = 0; places->bundles[i] != NULL; i++) {
        r = bundle_file(out, places->bundles[i]);
        if (r == 0 || is_fatal(r)) {
            return r;
        }
    }
    for (size_t i = 0; places->dirs[i] != NULL && out->len == before; i++) {
        r = bundle_dir(out, places->dirs[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int complain(int r, sl_error *err)
{
    return r < 0 ? sl_error_set(err, -r, "cannot put the certificate bundle together: %s",
                                strerror(-r))
                 : 0;
}

int sl_bundle_make_from(const sl_roots_places *places, const char *const *files, size_t count,
                        const char *ca_pem, sl_buf *out, sl_error *err)
{
    int r = 0;
    for (size_t i = 0; !is_fatal(r) && i < count; i++) {
        r = bundle_file(out, files[i]);
    }
    if (!is_fatal(r)) {
        r = bundle_system(out, places);
    }
    if (!is_fatal(r)) {
        r = sl_bundle_add_pem(out, ca_pem, strlen(ca_pem));
    }
    return complain(r, err);
}

int sl_bundle_make(const char *const *files, size_t count, const char *ca_pem, sl_buf *out,
                   sl_error *err)
{
    sl_roots_places places = sl_roots_system();
    return sl_bundle_make_from(&places, files, count, ca_pem, out, err);
}

int sl_bundle_make_own_from(const sl_roots_places *places, const char *pem, size_t len,
                            const char *ca_pem, sl_buf *out, sl_error *err)
{
    sl_buf system;
    struct index known = {0};
    sl_buf_init(&system, SL_BUNDLE_MAX);
    int r = len > 0 ? bundle_system(&system, places) : 0;
    r = r < 0 ? r : index_make(&known, &system);
    r = r < 0 || len == 0 ? r : add_pem(out, &known, pem, len);
    r = r < 0 ? r : sl_bundle_add_pem(out, ca_pem, strlen(ca_pem));
    free(known.items);
    sl_buf_done(&system);
    return complain(r, err);
}

int sl_bundle_make_own(const char *pem, size_t len, const char *ca_pem, sl_buf *out, sl_error *err)
{
    sl_roots_places places = sl_roots_system();
    return sl_bundle_make_own_from(&places, pem, len, ca_pem, out, err);
}
