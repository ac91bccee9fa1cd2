/* Owns what our certificates say (RFC 5280). Holds no key: both are the caller's. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "net/tls/ca_int.h"

#define DAY_S           (24L * 60 * 60)
#define AUTHORITY_PAST  (2 * DAY_S) /* a clock may be wrong by a day, in either direction */
#define AUTHORITY_TERM  (365 * DAY_S)
#define LEAF_PAST       DAY_S
#define LEAF_TERM       (30 * DAY_S)
#define SERIAL_LEN      16
#define COMMON_NAME_MAX 64 /* RFC 5280 appendix A, ub-common-name */

static int set_serial(X509 *cert)
{
    unsigned char bytes[SERIAL_LEN];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return 0;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, and never short */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    int ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

static int add_name(X509_NAME *name, const char *field, const char *value)
{
    return X509_NAME_add_entry_by_txt(name, field, MBSTRING_ASC, (const unsigned char *)value, -1,
                                      -1, 0);
}

/* Takes `value`. */
static int add_ext(X509 *cert, int nid, void *value, int critical)
{
    int ok = value != NULL && X509_add1_ext_i2d(cert, nid, value, critical, X509V3_ADD_APPEND) == 1;
    ASN1_VALUE *v = value;
    switch (nid) {
    case NID_basic_constraints:
        BASIC_CONSTRAINTS_free(value);
        break;
    case NID_ext_key_usage:
        EXTENDED_KEY_USAGE_free(value);
        break;
    case NID_authority_key_identifier:
        AUTHORITY_KEYID_free(value);
        break;
    case NID_subject_alt_name:
        GENERAL_NAMES_free(value);
        break;
    default:
        ASN1_STRING_free((ASN1_STRING *)v);
        break;
    }
    return ok;
}

static int add_basic_constraints(X509 *cert, int is_ca)
{
    BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
    if (bc != NULL && is_ca) {
        bc->ca = 0xff;
        bc->pathlen = ASN1_INTEGER_new();
        if (bc->pathlen == NULL || ASN1_INTEGER_set(bc->pathlen, 0) != 1) {
            BASIC_CONSTRAINTS_free(bc);
            return 0;
        }
    }
    return add_ext(cert, NID_basic_constraints, bc, 1);
}

/* `bits` as in RFC 5280 section 4.2.1.3, the first bit being the highest. */
static int add_key_usage(X509 *cert, const int *bits, size_t count)
{
    ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
    for (size_t i = 0; usage != NULL && i < count; i++) {
        if (ASN1_BIT_STRING_set_bit(usage, bits[i], 1) != 1) {
            ASN1_BIT_STRING_free(usage);
            return 0;
        }
    }
    return add_ext(cert, NID_key_usage, usage, 1);
}

static int add_server_auth(X509 *cert)
{
    EXTENDED_KEY_USAGE *usage = EXTENDED_KEY_USAGE_new();
    ASN1_OBJECT *purpose = OBJ_nid2obj(NID_server_auth); /* static, never freed */
    if (usage == NULL || sk_ASN1_OBJECT_push(usage, purpose) <= 0) {
        EXTENDED_KEY_USAGE_free(usage);
        return 0;
    }
    return add_ext(cert, NID_ext_key_usage, usage, 0);
}

/* RFC 5280 section 4.2.1.2, method 1: SHA-1 of the key bits. An identifier, no protection. */
static ASN1_OCTET_STRING *key_id(X509 *cert)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
    if (id == NULL || X509_pubkey_digest(cert, EVP_sha1(), digest, &len) != 1 ||
        ASN1_OCTET_STRING_set(id, digest, (int)len) != 1) {
        ASN1_OCTET_STRING_free(id);
        return NULL;
    }
    return id;
}

/* Points at the identifier in the CA; one made from the key where a CA of one's own has none. */
static int add_authority_key_id(X509 *cert, X509 *ca)
{
    const ASN1_OCTET_STRING *own = X509_get0_subject_key_id(ca);
    AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();
    if (id == NULL) {
        return 0;
    }
    id->keyid = own != NULL ? ASN1_OCTET_STRING_dup(own) : key_id(ca);
    if (id->keyid == NULL) {
        AUTHORITY_KEYID_free(id);
        return 0;
    }
    return add_ext(cert, NID_authority_key_identifier, id, 0);
}

/* Exactly one entry, built from bytes: no text syntax is parsed on the way. */
static int add_alt_name(X509 *cert, const char *name, const sl_addr *addr)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_STRING *value = addr != NULL ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    const void *data = addr != NULL ? (const void *)addr->bytes : name;
    int len = addr == NULL ? (int)strlen(name) : addr->family == 4 ? 4 : 16;
    if (names == NULL || one == NULL || value == NULL || ASN1_STRING_set(value, data, len) != 1) {
        GENERAL_NAMES_free(names);
        GENERAL_NAME_free(one);
        ASN1_STRING_free(value);
        return 0;
    }
    GENERAL_NAME_set0_value(one, addr != NULL ? GEN_IPADD : GEN_DNS, value);
    if (sk_GENERAL_NAME_push(names, one) <= 0) {
        GENERAL_NAMES_free(names);
        GENERAL_NAME_free(one);
        return 0;
    }
    return add_ext(cert, NID_subject_alt_name, names, 0);
}

/* RSA and EC sign SHA-256; Ed25519 and Ed448 bring their own digest. */
static int sign(X509 *cert, EVP_PKEY *key)
{
    int id = EVP_PKEY_get_base_id(key);
    bool own_digest = id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448;
    return X509_sign(cert, key, own_digest ? NULL : EVP_sha256()) > 0;
}

static X509 *cert_done(X509 *cert, int ok)
{
    if (!ok) {
        X509_free(cert);
        cert = NULL;
    }
    ERR_clear_error();
    return cert;
}

/* Of the process: what the clock of those who verify is ahead of ours. */
static int64_t ahead_s;

void sl_cert_set_clock(int64_t seconds)
{
    ahead_s = seconds;
}

time_t sl_cert_now(void)
{
    return time(NULL) + (time_t)ahead_s;
}

static int set_term(X509 *cert, long past_s, long future_s)
{
    time_t now = sl_cert_now();
    return X509_time_adj(X509_getm_notBefore(cert), -past_s, &now) != NULL &&
           X509_time_adj(X509_getm_notAfter(cert), future_s, &now) != NULL;
}

X509 *sl_cert_authority(EVP_PKEY *key)
{
    static const int usage[] = {5, 6}; /* keyCertSign, cRLSign */
    unsigned char random[4];
    char common_name[COMMON_NAME_MAX];
    X509 *cert = X509_new();
    if (cert == NULL || RAND_bytes(random, sizeof(random)) != 1) {
        return cert_done(cert, 0);
    }
    /* A subject of its own for each run: stores that look a CA up by name find the right one. */
    snprintf(common_name, sizeof(common_name), "sandlock run %02x%02x%02x%02x", random[0],
             random[1], random[2], random[3]);
    X509_NAME *name = X509_get_subject_name(cert);
    int ok = X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
             add_name(name, "O", "sandlock") && add_name(name, "CN", common_name) &&
             X509_set_issuer_name(cert, name) && set_term(cert, AUTHORITY_PAST, AUTHORITY_TERM) &&
             X509_set_pubkey(cert, key) && add_basic_constraints(cert, 1) &&
             add_key_usage(cert, usage, 2) &&
             add_ext(cert, NID_subject_key_identifier, key_id(cert), 0) && sign(cert, key);
    return cert_done(cert, ok);
}

/* A day of the past, thirty of the future, but never outside the CA's own term. */
static int set_leaf_term(X509 *cert, X509 *ca)
{
    time_t now = sl_cert_now();
    const ASN1_TIME *from = X509_get0_notBefore(ca);
    const ASN1_TIME *until = X509_get0_notAfter(ca);
    return set_term(cert, LEAF_PAST, LEAF_TERM) &&
           (ASN1_TIME_cmp_time_t(from, now - LEAF_PAST) <= 0 || X509_set1_notBefore(cert, from)) &&
           (ASN1_TIME_cmp_time_t(until, now + LEAF_TERM) >= 0 || X509_set1_notAfter(cert, until));
}

X509 *sl_cert_leaf(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *leaf_key, const char *name,
                   const sl_addr *addr)
{
    static const int usage[] = {0}; /* digitalSignature */
    X509 *cert = X509_new();
    if (cert == NULL) {
        return cert_done(cert, 0);
    }
    /* A subject that is never empty keeps old verifiers content; what counts is the alternative
     * name (RFC 9525). */
    X509_NAME *subject = X509_get_subject_name(cert);
    bool common = addr == NULL && strlen(name) <= COMMON_NAME_MAX;
    int ok = X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
             add_name(subject, "O", "sandlock") && (!common || add_name(subject, "CN", name)) &&
             X509_set_issuer_name(cert, X509_get_subject_name(ca)) && set_leaf_term(cert, ca) &&
             X509_set_pubkey(cert, leaf_key) && add_basic_constraints(cert, 0) &&
             add_key_usage(cert, usage, 1) && add_server_auth(cert) &&
             add_alt_name(cert, name, addr) &&
             add_ext(cert, NID_subject_key_identifier, key_id(cert), 0) &&
             add_authority_key_id(cert, ca) && sign(cert, ca_key);
    return cert_done(cert, ok);
}
