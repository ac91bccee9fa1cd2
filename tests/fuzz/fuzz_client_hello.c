/* Any bytes as the start of a flow: a verdict on the whole is the verdict on every longer start,
 * and a name that is given out is a host name. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/sniff.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int true_or_abort)
{
    if (!true_or_abort) {
        abort();
    }
}

static void check_hello(const sl_client_hello *hello)
{
    static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t len = strlen(hello->sni);
    check(hello->has_sni == (len > 0));
    check(len < sizeof(hello->sni) && hello->alpn_len <= sizeof(hello->alpn));
    check(hello->sni_is_addr || strspn(hello->sni, host) == len);
    check(len == 0 || hello->sni_is_addr || hello->sni[len - 1] != '.');
    size_t off = 0;
    while (off < hello->alpn_len) {
        check(hello->alpn[off] > 0);
        off += 1u + hello->alpn[off];
    }
    check(off == hello->alpn_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_client_hello hello = {0};
    sl_client_hello again = {0};
    enum sl_sniff_kind kind = sl_sniff(data, size, &hello);
    check(kind != SL_SNIFF_MORE || size < SL_SNIFF_MAX);
    if (kind == SL_SNIFF_TLS) {
        check_hello(&hello);
    }
    /* Byte by byte, the first verdict that is not "more" stays. */
    size_t len = 0;
    enum sl_sniff_kind early = SL_SNIFF_MORE;
    while (early == SL_SNIFF_MORE && len < size && len < 2048) {
        early = sl_sniff(data, ++len, &again);
    }
    if (early != SL_SNIFF_MORE) {
        check(early == kind);
        check(kind != SL_SNIFF_TLS || memcmp(&hello, &again, sizeof(hello)) == 0);
    }
    return 0;
}
