/* Owns the finding of root certificates. Knows no OPENSSLDIR: a static program runs on systems that
 * its OpenSSL was not built for. Never gives the child anything of a file but certificates. */
#include "net/tls/roots_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/fd.h"
#include "core/util.h"

#define HASHED_ENOUGH                                                                              \
    16                  /* fewer hashed names may be somebody's own few; the bundle is safer then */
#define HASHED_MAX 8192 /* entries of a directory that are looked at */

static const char *const system_bundles[] = {
#define SL_CA_BUNDLE(path) path,
#include "core/ca_bundles.inc"
    NULL};

static const char *const system_dirs[] = {
#define SL_CA_DIR(path) path,
#include "core/ca_bundles.inc"
    NULL};

sl_roots_places sl_roots_system(void)
{
    return (sl_roots_places){.bundles = system_bundles,
                             .dirs = system_dirs,
                             .env_file = getenv("SSL_CERT_FILE"),
                             .env_dir = getenv("SSL_CERT_DIR")};
}

/* ---- the store for upstreams ---- */

/* "5ed36f99.0", as openssl-rehash(1) names them; ".r0" are revocation lists. */
static bool is_hashed(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");
    return hex == 8 && name[8] == '.' && name[9] >= '0' && name[9] <= '9';
}

static bool can_read(int dir, const char *name)
{
    struct stat st;
    sl_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* How many hashed certificates a directory has, up to HASHED_ENOUGH; 0 if they cannot be read. */
static size_t count_hashed(const char *path)
{
    size_t count = 0;
    size_t seen = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && count < HASHED_ENOUGH && seen++ < HASHED_MAX &&
           (entry = readdir(dir)) != NULL) {
        if (is_hashed(entry->d_name) && can_read(dirfd(dir), entry->d_name)) {
            count++;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

static bool add_dirs(X509_STORE *store, const char *paths)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
    return lookup != NULL && X509_LOOKUP_add_dir(lookup, paths, X509_FILETYPE_PEM) == 1;
}

static bool add_file(X509_STORE *store, const char *path)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    return lookup != NULL && X509_load_cert_file(lookup, path, X509_FILETYPE_PEM) > 0;
}

/* What the user set for OpenSSL counts for us as for any program: openssl-env(7). */
static bool add_env(X509_STORE *store, const sl_roots_places *places)
{
    bool file =
        places->env_file != NULL && *places->env_file != '\0' && add_file(store, places->env_file);
    bool dir = false;
    if (places->env_dir != NULL && *places->env_dir != '\0') {
        char path[PATH_MAX];
        for (const char *p = places->env_dir; !dir && *p != '\0';) {
            size_t len = strcspn(p, ":");
            snprintf(path, sizeof(path), "%.*s", (int)SL_MIN(len, sizeof(path) - 1), p);
            dir = count_hashed(path) > 0;
            p += len + (p[len] == ':' ? 1 : 0);
        }
        dir = dir && add_dirs(store, places->env_dir);
    }
    return file || dir;
}

static bool add_system(X509_STORE *store, const sl_roots_places *places)
{
    const char *few = NULL;
    for (size_t i = 0; places->dirs[i] != NULL; i++) {
        size_t count = count_hashed(places->dirs[i]);
        if (count >= HASHED_ENOUGH) {
            return add_dirs(store, places->dirs[i]);
        }
        few = few == NULL && count > 0 ? places->dirs[i] : few;
    }
    for (size_t i = 0; places->bundles[i] != NULL; i++) {
        if (can_read(AT_FDCWD, places->bundles[i]) && add_file(store, places->bundles[i])) {
            return true;
        }
    }
    return few != NULL && add_dirs(store, few);
}

int sl_roots_store_from(const sl_roots_places *places, X509_STORE **ret_store, sl_error *err)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    X509_STORE *store = X509_STORE_new();
    if (store == NULL) {
        return sl_error_set(err, ENOMEM, "cannot read the system's certificates: no memory");
    }
    bool found = add_env(store, places) || add_system(store, places);
    ERR_clear_error();
    if (!found) {
        X509_STORE_free(store);
        return sl_error_set(err, ENOENT,
                            "no certificate authorities found (looked for '%s' and others); "
                            "install the package ca-certificates or set SSL_CERT_FILE",
                            places->bundles[0] != NULL ? places->bundles[0] : "");
    }
    *ret_store = store;
    return 0;
}

int sl_roots_store(X509_STORE **ret_store, sl_error *err)
{
    sl_roots_places places = sl_roots_system();
    return sl_roots_store_from(&places, ret_store, err);
}

/* ---- the bundle for the child ---- */

static const char pem_begin[] = "-----BEGIN CERTIFICATE-----";
static const char pem_end[] = "-----END CERTIFICATE-----";

/* The next certificate in [*text, end): its base64 lines. False when there is none. `*text` moves
 * behind it. */
static bool next_block(const char **text, const char *end, const char **ret_body, size_t *ret_len)
{
    const char *begin = memmem(*text, (size_t)(end - *text), pem_begin, sizeof(pem_begin) - 1);
    if (begin == NULL) {
        return false;
    }
    const char *body = begin + sizeof(pem_begin) - 1;
    const char *stop = memmem(body, (size_t)(end - body), pem_end, sizeof(pem_end) - 1);
    if (stop == NULL) {
        return false;
    }
    *text = stop + sizeof(pem_end) - 1;
    *ret_body = body;
    *ret_len = (size_t)(stop - body);
    return true;
}

struct seen {
    uint64_t hash;
    size_t off; /* of the body in the buffer's readable part */
    size_t len;
};

struct index {
    struct seen *items;
    size_t count;
    size_t cap;
};

/* FNV-1a, to compare few of the bodies. */
static uint64_t hash_body(const char *body, size_t len)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)body[i]) * 0x100000001b3u;
    }
    return hash;
}

static bool index_has(const struct index *index, const sl_buf *out, const char *body, size_t len)
{
    uint64_t hash = hash_body(body, len);
    for (size_t i = 0; i < index->count; i++) {
        const struct seen *seen = &index->items[i];
        if (seen->hash == hash && seen->len == len &&
            memcmp(sl_buf_head(out) + seen->off, body, len) == 0) {
            return true;
        }
    }
    return false;
}

static int index_add(struct index *index, const sl_buf *out, size_t off, size_t len)
{
    if (index->count == SL_ROOTS_CERTS_MAX) {
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
    const char *body = (const char *)sl_buf_head(out) + off;
    index->items[index->count++] =
        (struct seen){.hash = hash_body(body, len), .off = off, .len = len};
    return 0;
}

/* Copies a body as bare lines, each ended: without CR and blanks. 0 when it is not base64: strict
 * readers (rustls) drop a whole file for one bad block. */
static size_t clean_body(const char *body, size_t len, char *out)
{
    static const char base64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = body[i];
        if (c == '\r' || c == ' ' || c == '\t' || (c == '\n' && (n == 0 || out[n - 1] == '\n'))) {
            continue;
        }
        if (c != '\n' && memchr(base64, c, sizeof(base64) - 1) == NULL) {
            return 0;
        }
        out[n++] = c;
    }
    if (n > 0 && out[n - 1] != '\n') {
        out[n++] = '\n';
    }
    return n;
}

static int add_block(sl_buf *out, struct index *index, const char *body, size_t len)
{
    sl_autofree char *clean = malloc(len + 2);
    if (clean == NULL) {
        return -ENOMEM;
    }
    size_t n = clean_body(body, len, clean);
    if (n == 0 || index_has(index, out, clean, n)) {
        return 0;
    }
    clean[n] = '\0';
    size_t off = out->len + sizeof(pem_begin); /* its terminator stands for the newline */
    int r = sl_buf_printf(out, "%s\n%s%s\n", pem_begin, clean, pem_end);
    return r < 0 ? r : index_add(index, out, off, n);
}

static int index_make(struct index *index, const sl_buf *out)
{
    const char *start = (const char *)sl_buf_head(out);
    const char *text = start;
    const char *body;
    size_t len;
    int r = 0;
    while (r == 0 && text != NULL && next_block(&text, start + out->len, &body, &len)) {
        /* Ours begin with one newline, which clean bodies do not have. */
        r = len > 0 ? index_add(index, out, (size_t)(body + 1 - start), len - 1) : 0;
    }
    return r;
}

int sl_roots_add_pem(sl_buf *out, const char *pem, size_t len)
{
    struct index index = {0};
    const char *text = pem;
    const char *body;
    size_t body_len;
    int r = index_make(&index, out);
    while (r == 0 && next_block(&text, pem + len, &body, &body_len)) {
        r = add_block(out, &index, body, body_len);
    }
    free(index.items);
    return r;
}

/* 0, -ENOENT and the like when it cannot be read, -ENOMEM or -ENOBUFS. */
static int bundle_file(sl_buf *out, const char *path)
{
    sl_autofree char *pem = NULL;
    size_t len = 0;
    int r = sl_fd_read_file(path, SL_ROOTS_BUNDLE_MAX, &pem, &len);
    return r < 0 ? r : sl_roots_add_pem(out, pem, len);
}

/* No bundle file, but a hashed directory: its files one after the other. */
static int bundle_dir(sl_buf *out, const char *path)
{
    sl_autofree char *file = NULL;
    int r = 0;
    size_t seen = 0;
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && r == 0 && seen++ < HASHED_MAX && (entry = readdir(dir)) != NULL) {
        if (!is_hashed(entry->d_name)) {
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

int sl_roots_bundle_from(const sl_roots_places *places, const char *const *files, size_t count,
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
        r = sl_roots_add_pem(out, ca_pem, strlen(ca_pem));
    }
    return r < 0 ? sl_error_set(err, -r, "cannot put the certificate bundle together: %s",
                                strerror(-r))
                 : 0;
}

int sl_roots_bundle(const char *const *files, size_t count, const char *ca_pem, sl_buf *out,
                    sl_error *err)
{
    sl_roots_places places = sl_roots_system();
    return sl_roots_bundle_from(&places, files, count, ca_pem, out, err);
}
