/* Policies out of words, and questions to them. After cmocka.h. */
#ifndef SANDLOCK_TESTS_POLICY_MADE_H
#define SANDLOCK_TESTS_POLICY_MADE_H

#include "policy/verdict.h"

static inline int set(sl_policy *p, const char *name, const char *value, sl_error *err)
{
    const sl_field *field = sl_field_by_name(name);
    assert_non_null(field);
    return sl_policy_set(p, field, value, err);
}

static inline void must_set(sl_policy *p, const char *name, const char *value)
{
    sl_error err;
    if (set(p, name, value, &err) < 0) {
        fail_msg("%s", err.message);
    }
}

static inline sl_policy *new_policy(void)
{
    sl_policy *p = sl_policy_new();
    assert_non_null(p);
    return p;
}

/* A frozen policy from "field", "value" pairs that end with NULL. */
static inline sl_policy *make(const char *const *words)
{
    sl_policy *p = new_policy();
    sl_error err;
    for (; words[0] != NULL; words += 2) {
        must_set(p, words[0], words[1]);
    }
    assert_int_equal(sl_policy_freeze(p, &err), 0);
    return p;
}

#define POLICY(...) make((const char *const[]){__VA_ARGS__, NULL})
#define OPEN()      make((const char *const[]){NULL})

/* "tcp:host:port"; an address is a literal, anything else a name. */
static inline sl_dest dest_of(enum sl_proto proto, const char *host, uint16_t port)
{
    sl_dest dest = {.proto = proto, .port = port};
    if (sl_addr_parse(host, &dest.addr) < 0) {
        dest.name = host;
    }
    return dest;
}

static inline enum sl_net_action judge(const sl_policy *p, enum sl_proto proto, const char *host,
                                       uint16_t port, const char **ret_reason)
{
    sl_dest dest = dest_of(proto, host, port);
    sl_net_verdict v;
    sl_policy_judge_net(p, &dest, &v);
    assert_true((v.action == SL_NET_DENY) == (v.reason != NULL));
    if (ret_reason != NULL) {
        *ret_reason = v.reason;
    }
    return v.action;
}

#define TCP(p, host, port) judge(p, SL_PROTO_TCP, host, port, NULL)
#define UDP(p, host, port) judge(p, SL_PROTO_UDP, host, port, NULL)

static inline bool may_dial(const sl_policy *p, const char *name, const char *addr_text,
                            uint16_t port)
{
    sl_addr addr;
    assert_int_equal(sl_addr_parse(addr_text, &addr), 0);
    return sl_policy_may_dial(p, name, &addr, port);
}

#endif
