/* What only this room may see of a policy: the checks that the table of fields names. */
#ifndef SANDLOCK_POLICY_POLICY_INT_H
#define SANDLOCK_POLICY_POLICY_INT_H

#include "policy/policy.h"

/* The member of a policy that a field stands for. */
static inline void *sl_field_member(const sl_policy *policy, const sl_field *field)
{
    return (char *)policy + field->offset;
}

/* take.c: see sl_field.take. */
int sl_take_path(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_nonempty(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_name(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_hostname(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_audit(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_gpu(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_cpu_cores(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_num_cpus(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_max_cpu(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_env(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_time_start(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_seed(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_net_allow(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_net_deny(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_net_host(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_net_connect(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_net_bind(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_http_allow(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_http_deny(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_http_ports(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_ca_bundle(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_no_inspect(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_allow_syscall(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_deny_syscall(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_extra_syscall(sl_policy *policy, const char *value, const char *what, sl_error *err);
int sl_take_resolve(sl_policy *policy, const char *value, const char *what, sl_error *err);

#endif
