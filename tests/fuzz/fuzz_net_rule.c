/* Net rules, addresses, ports, --resolve: each line as each of them, and the link's form of the
 * whole. Aborts when a form does not come back as it went. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "policy/verdict.h"

#define INPUT_MAX 4096

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void check_addr(const char *text)
{
    sl_addr addr;
    sl_addr back;
    char out[SL_ADDR_STR_MAX];
    struct sockaddr_storage ss;
    uint16_t port;
    (void)sl_addr_looks_numeric(text);
    if (sl_addr_parse(text, &addr) < 0) {
        return;
    }
    check(addr.family == 4 || addr.family == 6, "a family");
    check(sl_addr_classify(&addr) != 0, "every address has a class");
    check(sl_addr_parse(sl_addr_format(&addr, out), &back) == 0 && sl_addr_equal(&addr, &back),
          "an address comes back from its text");
    socklen_t len = sl_addr_to_sockaddr(&addr, 1, AF_INET6, &ss);
    check(sl_addr_from_sockaddr(&ss, len, &back, &port) == 0 && sl_addr_equal(&addr, &back) &&
              port == 1,
          "an address comes back from the kernel's form");
}

static void judge(const sl_policy *p)
{
    static const char *const hosts[] = {"192.0.2.1", "127.0.0.1",      "169.254.169.254",
                                        "::1",       "64:ff9b::a00:1", "db.example.com",
                                        "localhost", "0.0.0.0"};
    for (size_t i = 0; i < SL_ARRAY_LEN(hosts); i++) {
        sl_dest dest = {.proto = SL_PROTO_TCP, .port = 5432};
        sl_net_verdict net;
        sl_flow_verdict flow;
        if (sl_addr_parse(hosts[i], &dest.addr) < 0) {
            dest.name = hosts[i];
        }
        sl_policy_judge_net(p, &dest, &net);
        sl_policy_judge_flow(p, &dest, &flow);
        check((net.action == SL_NET_DENY) == (net.reason != NULL), "a denial has a reason");
        check((net.action == SL_NET_DENY) == (flow.mode == SL_FLOW_REFUSE), "both verdicts agree");
        if (dest.name == NULL) {
            check(sl_policy_may_dial(p, NULL, &dest.addr, dest.port) == (net.action != SL_NET_DENY),
                  "a literal is dialled as it is judged");
        }
        if (net.action != SL_NET_DENY && dest.name != NULL) {
            check(sl_policy_grants_name(p, dest.name), "a destination by name has a name");
        }
    }
}

/* Through the link and back. */
static void check_link(const sl_policy *p)
{
    sl_buf one;
    sl_buf two;
    sl_error err;
    sl_policy *back = NULL;
    sl_buf_init(&one, 1u << 20);
    sl_buf_init(&two, 1u << 20);
    check(sl_policy_encode(p, &one) == 0, "a policy can be encoded");
    check(sl_policy_decode(sl_buf_head(&one), one.len, &back, &err) == 0, "and decoded");
    check(sl_policy_encode(back, &two) == 0 && one.len == two.len &&
              (one.len == 0 || memcmp(sl_buf_head(&one), sl_buf_head(&two), one.len) == 0),
          "to the same bytes");
    sl_policy_free(back);
    sl_buf_done(&one);
    sl_buf_done(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"net_allow", "net_deny", "net_allow_hosts", "net_connect",
                                        "net_bind",  "resolve",  "http_no_inspect"};
    char text[INPUT_MAX + 1];
    sl_error err;
    if (size > INPUT_MAX) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    SL_AUTO(sl_policy) p = sl_policy_new();
    SL_AUTO(sl_policy) wire = NULL;
    check(p != NULL, "memory");
    (void)sl_policy_decode(data, size, &wire, &err); /* bytes of a gone-wild peer */
    size_t turn = 0;
    for (char *line = text; line != NULL; turn++) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        check_addr(line);
        const sl_field *field = sl_field_by_name(names[turn % SL_ARRAY_LEN(names)]);
        check(field != NULL, "the field exists");
        if (sl_policy_set(p, field, line, &err) < 0) {
            check(err.kind == SL_ERROR_USAGE && err.message[0] != '\0', "an error says so");
        }
        line = end;
    }
    check(sl_policy_freeze(p, &err) == 0, "it freezes");
    judge(p);
    check_link(p);
    return 0;
}
