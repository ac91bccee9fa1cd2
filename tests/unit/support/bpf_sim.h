/* A simulator of classic BPF as seccomp(2) runs it, for the tests of filters. */
#ifndef SANDLOCK_TESTS_BPF_SIM_H
#define SANDLOCK_TESTS_BPF_SIM_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* The SECCOMP_RET_* value that the program gives. Aborts on what the kernel would have refused to
 * load: a jump past the end, an unknown instruction, a read outside the data. */
uint32_t bpf_sim_run(const struct sock_filter *insns, size_t len, const struct seccomp_data *data);

/* The same without any program: the rules as their header says it, read in order. */
struct sl_bpf_rules;
uint32_t bpf_sim_rules(const struct sl_bpf_rules *rules, const struct seccomp_data *data);

#endif
