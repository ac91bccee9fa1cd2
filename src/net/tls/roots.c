/* Owns the finding of root certificates, and the store for upstreams. Knows no OPENSSLDIR: a static
 * program runs on systems that its OpenSSL was not built for. */
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

#include "core/util.h"
#include "net/tls/roots_file.h"

/* Fewer hashed names may be somebody's own few; the bundle is safer then. */
#define HASHED_ENOUGH 16

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

bool sl_roots_is_hashed(const char *name)
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
    while (dir != NULL && count < HASHED_ENOUGH && seen++ < SL_ROOTS_HASHED_MAX &&
           (entry = readdir(dir)) != NULL) {
        if (sl_roots_is_hashed(entry->d_name) && can_read(dirfd(dir), entry->d_name)) {
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

/* What the user set for OpenSSL counts for us as for any program: openssl-env(7). */
static bool add_env(X509_STORE *store, const sl_roots_places *places)
{
    bool file = places->env_file != NULL && *places->env_file != '\0' &&
                sl_roots_file_add(store, places->env_file);
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
        if (can_read(AT_FDCWD, places->bundles[i]) &&
            sl_roots_file_add(store, places->bundles[i])) {
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
