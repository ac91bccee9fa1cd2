/* Digests against what their documents give as examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/util.h"
#include "net/tls/digest.h"

static void sha1_is_what_its_documents_say(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *sum;
    } known[] = {
        {"", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
        {"abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="}, /* RFC 3174 section 7.3 */
        /* RFC 6455 section 1.3 */
        {"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11",
         "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    };
    char sum[SL_DIGEST_SHA1_TEXT];
    for (size_t i = 0; i < SL_ARRAY_LEN(known); i++) {
        assert_int_equal(sl_digest_sha1(known[i].text, strlen(known[i].text), sum), 0);
        assert_string_equal(sum, known[i].sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_is_what_its_documents_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
