/* Owns the run's authority: its key, the one key of all leaves, the cache of leaves. Neither key
 * ever leaves this file in any form but a signature, and neither outlives the object in memory. */
#include "net/tls/ca.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "core/util.h"
#include "net/hostname_int.h"
#include "net/tls/ca_int.h"

#define CHAIN_MAX    8
#define RSA_BITS_MIN 2048 /* what OpenSSL's default security level asks of a peer */
#define RENEW_S      (24L * 60 * 60)

/* A leaf for one name or address. */
struct leaf {
    X509 *cert;    /* NULL: the slot is free */
    uint64_t hash; /* of the subject, to find it quickly */
    uint64_t used; /* a counter: the lowest makes room */
    char name[SL_HOSTNAME_MAX];
    sl_addr addr; /* family 0: the name counts */
};

struct sl_ca {
    EVP_PKEY *key;
    EVP_PKEY *leaf_key;
    X509 *cert;
    STACK_OF(X509) * chain; /* what is sent behind a leaf; NULL for a root */
    char *pem;
    struct leaf *leaves;
    size_t count;
    uint64_t clock;
};

static void init_library(void)
{
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}

void sl_ca_free(sl_ca *ca)
{
    if (ca == NULL) {
        return;
    }
    for (size_t i = 0; i < ca->count; i++) {
        X509_free(ca->leaves[i].cert);
    }
    free(ca->leaves);
    sk_X509_pop_free(ca->chain, X509_free);
    X509_free(ca->cert);
    /* Private numbers are cleansed: BN_clear_free in OpenSSL's own destructors. */
    EVP_PKEY_free(ca->key);
    EVP_PKEY_free(ca->leaf_key);
    free(ca->pem);
    free(ca);
}

static int make_pem(sl_ca *ca)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *data = NULL;
    int ok = bio != NULL && PEM_write_bio_X509(bio, ca->cert);
    for (int i = 0; ok && i < sk_X509_num(ca->chain); i++) {
        X509 *cert = sk_X509_value(ca->chain, i);
        ok = cert == ca->cert || PEM_write_bio_X509(bio, cert);
    }
    if (ok) {
        long len = BIO_get_mem_data(bio, (void *)&data);
        ca->pem = len > 0 ? strndup(data, (size_t)len) : NULL;
    }
    BIO_free(bio);
    return ca->pem == NULL ? -ENOMEM : 0;
}

/* What both kinds of authority need, once certificate and key are there. */
static int ca_complete(sl_ca *ca, sl_error *err)
{
    ca->leaf_key = EVP_EC_gen("P-256");
    ca->leaves = calloc(SL_CA_LEAVES_MAX, sizeof(*ca->leaves));
    int r = ca->leaf_key == NULL || ca->leaves == NULL ? -ENOMEM : make_pem(ca);
    ERR_clear_error();
    return r < 0 ? sl_error_set(err, -r, "cannot make the key of the certificates") : 0;
}

void sl_ca_set_clock(int64_t ahead_s)
{
    sl_cert_set_clock(ahead_s);
}

int sl_ca_new(sl_ca **ret_ca, sl_error *err)
{
    init_library();
    sl_ca *ca = calloc(1, sizeof(*ca));
    if (ca == NULL) {
        return sl_error_set(err, ENOMEM, "cannot make the certificate authority: no memory");
    }
    ca->key = EVP_EC_gen("P-256");
    ca->cert = ca->key == NULL ? NULL : sl_cert_authority(ca->key);
    ERR_clear_error();
    int r = ca->cert == NULL ? sl_error_set(err, EIO, "cannot make the certificate authority")
                             : ca_complete(ca, err);
    if (r < 0) {
        sl_ca_free(ca);
        return r;
    }
    *ret_ca = ca;
    return 0;
}

/* PEM_read_bio_* ask for a password through this; we have none, and must not ask a terminal. */
static int on_password(char *buf, int size, int rwflag, void *arg)
{
    bool *asked = arg;
    (void)buf;
    (void)size;
    (void)rwflag;
    *asked = true;
    return -1;
}

static int load_key(sl_ca *ca, const char *pem, size_t len, sl_error *err)
{
    bool asked = false;
    BIO *bio = len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    if (bio != NULL) {
        ca->key = PEM_read_bio_PrivateKey(bio, NULL, on_password, &asked);
    }
    BIO_free(bio);
    ERR_clear_error();
    if (ca->key == NULL && asked) {
        return sl_error_set(err, EINVAL,
                            "the private key is encrypted; decrypt a copy with 'openssl pkey -in "
                            "KEY -out PLAIN' and give that");
    }
    if (ca->key == NULL) {
        return sl_error_set(err, EINVAL, "no private key in PEM form found");
    }
    int bits = EVP_PKEY_get_bits(ca->key);
    if (EVP_PKEY_get_base_id(ca->key) == EVP_PKEY_RSA && bits < RSA_BITS_MIN) {
        return sl_error_set(err, EINVAL, "an RSA key of %d bits is too short; %d is the least",
                            bits, RSA_BITS_MIN);
    }
    return 0;
}

/* The first certificate signs; those behind it are its chain. */
static int load_certs(sl_ca *ca, const char *pem, size_t len, sl_error *err)
{
    bool asked = false;
    BIO *bio = len <= INT32_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
    if (bio != NULL) {
        ca->cert = PEM_read_bio_X509(bio, NULL, on_password, &asked);
    }
    bool root = ca->cert != NULL && X509_self_signed(ca->cert, 0) == 1;
    bool ok = ca->cert != NULL && (root || (ca->chain = sk_X509_new_null()) != NULL);
    if (ok && !root) {
        ok = sk_X509_push(ca->chain, ca->cert) > 0 && X509_up_ref(ca->cert) == 1;
    }
    while (ok && !root && sk_X509_num(ca->chain) < CHAIN_MAX) {
        X509 *next = PEM_read_bio_X509(bio, NULL, on_password, &asked);
        if (next == NULL) {
            break;
        }
        ok = sk_X509_push(ca->chain, next) > 0;
        if (!ok) {
            X509_free(next);
        }
    }
    BIO_free(bio);
    ERR_clear_error();
    return ok ? 0 : sl_error_set(err, EINVAL, "no certificate in PEM form found");
}

static int check_authority(const sl_ca *ca, sl_error *err)
{
    /* 1 is a version 3 certificate with CA:TRUE; older forms that count as CAs are not enough. */
    if (X509_check_ca(ca->cert) != 1) {
        return sl_error_set(err, EINVAL,
                            "the certificate is not one of a CA (basicConstraints "
                            "CA:TRUE and keyUsage keyCertSign are needed)");
    }
    if (X509_cmp_current_time(X509_get0_notAfter(ca->cert)) <= 0) {
        return sl_error_set(err, EINVAL, "the CA certificate has expired");
    }
    if (X509_cmp_current_time(X509_get0_notBefore(ca->cert)) > 0) {
        return sl_error_set(err, EINVAL, "the CA certificate is not valid yet");
    }
    if (X509_check_private_key(ca->cert, ca->key) != 1) {
        ERR_clear_error();
        return sl_error_set(err, EINVAL,
                            "the CA certificate and the private key do not belong "
                            "together");
    }
    return 0;
}

int sl_ca_load(const char *cert_pem, size_t cert_len, const char *key_pem, size_t key_len,
               sl_ca **ret_ca, sl_error *err)
{
    init_library();
    sl_ca *ca = calloc(1, sizeof(*ca));
    if (ca == NULL) {
        return sl_error_set(err, ENOMEM, "cannot load the certificate authority: no memory");
    }
    int r = load_certs(ca, cert_pem, cert_len, err);
    if (r == 0) {
        r = load_key(ca, key_pem, key_len, err);
    }
    if (r == 0) {
        r = check_authority(ca, err);
    }
    if (r == 0) {
        r = ca_complete(ca, err);
    }
    if (r < 0) {
        sl_ca_free(ca);
        return r;
    }
    *ret_ca = ca;
    return 0;
}

const char *sl_ca_pem(const sl_ca *ca)
{
    return ca->pem;
}

/* FNV-1a; only speeds the search up, the subject itself decides. */
static uint64_t hash_bytes(const void *data, size_t len)
{
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

static bool leaf_is(const struct leaf *leaf, uint64_t hash, const char *name, const sl_addr *addr)
{
    if (leaf->hash != hash || (leaf->addr.family != 0) != (addr != NULL)) {
        return false;
    }
    return addr != NULL ? leaf->addr.family == addr->family &&
                              memcmp(leaf->addr.bytes, addr->bytes, sizeof(addr->bytes)) == 0
                        : strcmp(leaf->name, name) == 0;
}

/* The slot that has the subject, or that it may have: a free one, else the least recently used. */
static struct leaf *leaf_find(sl_ca *ca, uint64_t hash, const char *name, const sl_addr *addr)
{
    struct leaf *oldest = NULL;
    for (size_t i = 0; i < ca->count; i++) {
        struct leaf *leaf = &ca->leaves[i];
        if (leaf_is(leaf, hash, name, addr)) {
            return leaf;
        }
        if (oldest == NULL || leaf->used < oldest->used) {
            oldest = leaf;
        }
    }
    if (ca->count < SL_CA_LEAVES_MAX) {
        return &ca->leaves[ca->count++];
    }
    return oldest;
}

static X509 *leaf_get(sl_ca *ca, const char *name, const sl_addr *addr)
{
    uint64_t hash = addr != NULL ? hash_bytes(addr->bytes, sizeof(addr->bytes))
                                 : hash_bytes(name, strlen(name));
    struct leaf *leaf = leaf_find(ca, hash, name, addr);
    bool hit = leaf->cert != NULL && leaf_is(leaf, hash, name, addr) &&
               ASN1_TIME_cmp_time_t(X509_get0_notAfter(leaf->cert), sl_cert_now() + RENEW_S) > 0;
    if (!hit) {
        X509 *cert = sl_cert_leaf(ca->cert, ca->key, ca->leaf_key, name, addr);
        X509_free(leaf->cert);
        *leaf = (struct leaf){.cert = cert, .hash = hash};
        if (addr != NULL) {
            leaf->addr = *addr;
        } else {
            memcpy(leaf->name, name, strlen(name) + 1);
        }
    }
    leaf->used = ++ca->clock;
    return leaf->cert;
}

int sl_ca_certify(sl_ca *ca, SSL *ssl, const char *name, const sl_addr *addr)
{
    char copy[SL_HOSTNAME_MAX];
    if (addr != NULL) {
        if (addr->family != 4 && addr->family != 6) {
            return -EINVAL;
        }
    } else if (name == NULL || sl_hostname_copy((const uint8_t *)name, strlen(name), copy) < 0 ||
               strcmp(copy, name) != 0) {
        return -EINVAL;
    }
    X509 *leaf = leaf_get(ca, name, addr);
    ERR_clear_error();
    int ok = leaf != NULL && SSL_use_certificate(ssl, leaf) == 1 &&
             SSL_use_PrivateKey(ssl, ca->leaf_key) == 1;
    if (ok && ca->chain != NULL) {
        ok = SSL_set1_chain(ssl, ca->chain) == 1;
    }
    ERR_clear_error();
    return ok ? 0 : leaf == NULL ? -ENOMEM : -EIO;
}
