/* Owns the lookup of roots in a file. To decode one root takes OpenSSL a tenth of a millisecond,
 * and a system has 140: so their names alone are read, and one is decoded that a chain asks for. */
#include "net/tls/roots_file.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509_vfy.h>

#include "core/fd.h"
#include "core/util.h"
#include "net/tls/pem.h"

#define ROOTS_MAX 8192

struct root {
    unsigned long subject; /* its hash, as openssl-rehash(1) makes it */
    const uint8_t *der;
    long len;
    bool taken; /* the store has it */
};

struct roots {
    uint8_t *der; /* all, one behind the other */
    struct root *items;
    size_t count;
};

static void free_roots(struct roots *roots)
{
    if (roots != NULL) {
        free(roots->der);
        free(roots->items);
        free(roots);
    }
}

/* ---- reading ---- */

/* Steps over one value, into it where it is a SEQUENCE that is asked for. */
static bool step(const uint8_t **p, const uint8_t *end, bool into)
{
    long len = 0;
    int tag = 0;
    int class = 0;
    const uint8_t *q = *p;
    int r = end > q ? ASN1_get_object(&q, &len, &tag, &class, end - q) : 0x80;
    if ((r & 0x80) != 0 || (r & 1) != 0 || (into && tag != V_ASN1_SEQUENCE)) {
        return false; /* wrong, or without a length, which DER does not have */
    }
    *p = into ? q : q + len;
    return true;
}

/* RFC 5280 section 4.1: Certificate and TBSCertificate, up to the subject. */
static bool find_subject(const uint8_t *der, long len, const uint8_t **ret_subject)
{
    const uint8_t *p = der;
    const uint8_t *end = der + len;
    bool ok = step(&p, end, true) && step(&p, end, true);
    if (ok && p < end && *p == 0xa0) { /* a version */
        ok = step(&p, end, false);
    }
    for (int i = 0; ok && i < 4; i++) { /* serial number, algorithm, issuer, validity */
        ok = step(&p, end, false);
    }
    *ret_subject = p;
    return ok && p < end;
}

static bool hash_subject(const uint8_t *der, long len, unsigned long *ret_hash)
{
    const uint8_t *subject;
    int ok = 0;
    if (!find_subject(der, len, &subject)) {
        return false;
    }
    X509_NAME *name = d2i_X509_NAME(NULL, &subject, der + len - subject);
    *ret_hash = name == NULL ? 0 : X509_NAME_hash_ex(name, NULL, NULL, &ok);
    X509_NAME_free(name);
    return name != NULL && ok == 1;
}

/* The bytes of a PEM body, or -1. Room for three quarters of it is needed, and a little. */
static long decode_body(EVP_ENCODE_CTX *ctx, const char *body, size_t len, uint8_t *out)
{
    int n = 0;
    int rest = 0;
    EVP_DecodeInit(ctx);
    if (len > INT_MAX || EVP_DecodeUpdate(ctx, out, &n, (const uint8_t *)body, (int)len) < 0 ||
        EVP_DecodeFinal(ctx, out + n, &rest) < 0) {
        return -1;
    }
    return (long)n + rest;
}

static size_t count_roots(const char *text, const char *end)
{
    size_t count = 0;
    const char *body;
    size_t len;
    while (count < ROOTS_MAX && sl_pem_next(&text, end, &body, &len)) {
        count++;
    }
    return count;
}

/* One that cannot be read is left out, as ever. */
static void read_all(struct roots *roots, size_t room, EVP_ENCODE_CTX *ctx, const char *text,
                     const char *end)
{
    uint8_t *out = roots->der;
    const char *body;
    size_t len;
    while (roots->count < room && sl_pem_next(&text, end, &body, &len)) {
        struct root *root = &roots->items[roots->count];
        *root = (struct root){.der = out, .len = decode_body(ctx, body, len, out)};
        if (root->len > 0 && hash_subject(root->der, root->len, &root->subject)) {
            out += root->len;
            roots->count++;
        }
    }
}

static struct roots *read_roots(const char *text, size_t len)
{
    size_t room = count_roots(text, text + len);
    struct roots *roots = calloc(1, sizeof(*roots));
    EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
    if (roots != NULL && room > 0) {
        roots->der = malloc(len); /* base64 is longer than what it says */
        roots->items = calloc(room, sizeof(*roots->items));
    }
    if (ctx != NULL && roots != NULL && roots->der != NULL && roots->items != NULL) {
        read_all(roots, room, ctx, text, text + len);
    }
    EVP_ENCODE_CTX_free(ctx);
    ERR_clear_error();
    if (roots != NULL && roots->count == 0) {
        free_roots(roots);
        return NULL;
    }
    return roots;
}

/* ---- the lookup ---- */

static void free_lookup(X509_LOOKUP *lookup)
{
    free_roots(X509_LOOKUP_get_method_data(lookup));
}

static bool take(X509_STORE *store, struct root *root)
{
    const uint8_t *der = root->der;
    X509 *cert = d2i_X509(NULL, &der, root->len);
    bool ok = cert != NULL && X509_STORE_add_cert(store, cert) == 1;
    X509_free(cert);
    root->taken = true;
    return ok;
}

/* Hands the store's own out, whose reference is counted by who asks: X509_LOOKUP_hash_dir(3). */
static bool give(X509_STORE *store, X509_LOOKUP_TYPE type, const X509_NAME *name, X509_OBJECT *ret)
{
    X509_OBJECT *found =
        X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store), type, name);
    X509 *cert = found == NULL ? NULL : X509_OBJECT_get0_X509(found);
    if (cert == NULL || X509_OBJECT_set1_X509(ret, cert) != 1) {
        return false;
    }
    X509_free(cert);
    return true;
}

static int by_subject(X509_LOOKUP *lookup, X509_LOOKUP_TYPE type, const X509_NAME *name,
                      X509_OBJECT *ret)
{
    struct roots *roots = X509_LOOKUP_get_method_data(lookup);
    X509_STORE *store = X509_LOOKUP_get_store(lookup);
    int ok = 0;
    unsigned long hash = X509_NAME_hash_ex(name, NULL, NULL, &ok);
    bool any = false;
    for (size_t i = 0; ok == 1 && type == X509_LU_X509 && roots != NULL && i < roots->count; i++) {
        struct root *root = &roots->items[i];
        any = (root->subject == hash && !root->taken && take(store, root)) || any;
    }
    return any && give(store, type, name, ret);
}

/* One for the program's life, as the library's own are. */
static X509_LOOKUP_METHOD *method(void)
{
    static X509_LOOKUP_METHOD *own;
    if (own == NULL) {
        own = X509_LOOKUP_meth_new("roots of a file");
    }
    if (own != NULL) {
        X509_LOOKUP_meth_set_get_by_subject(own, by_subject);
        X509_LOOKUP_meth_set_free(own, free_lookup);
    }
    return own;
}

/* OpenSSL's own way, for what says more than a certificate does: openssl-x509(1), trust settings.
 */
static bool add_whole(X509_STORE *store, const char *path)
{
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
    return lookup != NULL && X509_load_cert_file(lookup, path, X509_FILETYPE_PEM) > 0;
}

static bool has_other_forms(const char *text, size_t len)
{
    static const char trusted[] = "-----BEGIN TRUSTED CERTIFICATE-----";
    static const char old[] = "-----BEGIN X509 CERTIFICATE-----";
    return memmem(text, len, trusted, sizeof(trusted) - 1) != NULL ||
           memmem(text, len, old, sizeof(old) - 1) != NULL;
}

bool sl_roots_file_add(X509_STORE *store, const char *path)
{
    sl_autofree char *text = NULL;
    size_t len = 0;
    if (sl_fd_read_file(path, SL_ROOTS_FILE_MAX, &text, &len) < 0) {
        return false;
    }
    if (has_other_forms(text, len)) {
        return add_whole(store, path);
    }
    struct roots *roots = read_roots(text, len);
    X509_LOOKUP_METHOD *own = roots == NULL ? NULL : method();
    X509_LOOKUP *lookup = own == NULL ? NULL : X509_STORE_add_lookup(store, own);
    if (lookup == NULL || X509_LOOKUP_get_method_data(lookup) != NULL) {
        free_roots(roots);
        return false;
    }
    X509_LOOKUP_set_method_data(lookup, roots);
    return true;
}
