/* Owns the finding of certificates in PEM text (RFC 7468). Decodes nothing. */
#include "net/tls/pem.h"

#include <string.h>

static const char pem_begin[] = SL_PEM_BEGIN;
static const char pem_end[] = SL_PEM_END;

bool sl_pem_next(const char **text, const char *end, const char **ret_body, size_t *ret_len)
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
