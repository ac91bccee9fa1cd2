/* Owns digests by name. Never keeps a byte of what it digests. */
#include "net/tls/digest.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define SHA1_SIZE 20
_Static_assert(SL_DIGEST_SHA1_TEXT == (SHA1_SIZE + 2) / 3 * 4 + 1, "padded and terminated");

int sl_digest_sha1(const void *data, size_t len, char ret[SL_DIGEST_SHA1_TEXT])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    /* A run without TLS comes here first: no configuration file, as in sl_tls_init. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL) != 1 ||
        EVP_Digest(data, len, sum, &n, EVP_sha1(), NULL) != 1 || n != SHA1_SIZE) {
        ERR_clear_error();
        return -EIO;
    }
    EVP_EncodeBlock((unsigned char *)ret, sum, SHA1_SIZE);
    return 0;
}
