/* Any bytes as a DNS message: what is understood can be answered, and the answer is a message whose
 * every part stands where its header says. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns/dnsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int true_or_abort)
{
    if (!true_or_abort) {
        abort();
    }
}

static void check_answer(const sl_dnsmsg_query *query, enum sl_dnsmsg_rcode rcode,
                         const sl_addr *addr)
{
    uint8_t out[SL_DNSMSG_MAX];
    sl_dnsmsg_query again;
    size_t len = sl_dnsmsg_answer(query, rcode, addr, out);
    check(len >= 12 && len <= sizeof(out));
    check(sl_dnsmsg_parse(out, len, &again) < 0); /* an answer is never taken for a query */
    check((uint16_t)(out[0] << 8 | out[1]) == query->id);
    if (query->question_len > 0) {
        check(memcmp(out + 12, query->question, query->question_len) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sl_addr v4 = {.family = 4, .bytes = {198, 18, 0, 1}};
    static const sl_addr v6 = {.family = 6, .bytes = {[15] = 1}};
    sl_dnsmsg_query query;
    int r = sl_dnsmsg_parse(data, size, &query);
    if (r == -22) {
        return 0;
    }
    if (r == 0) {
        check(query.question_len >= 5 && query.question >= data &&
              query.question + query.question_len <= data + size);
        check(!query.name_ok || (strlen(query.name) > 0 && strlen(query.name) < 254));
        check(!query.name_ok || strpbrk(query.name, " /:%*@") == NULL);
    }
    check_answer(&query, SL_DNS_NOERROR, &v4);
    check_answer(&query, SL_DNS_NOERROR, &v6);
    check_answer(&query, SL_DNS_NXNAME, NULL);
    return 0;
}
