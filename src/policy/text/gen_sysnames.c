/* Built and run while building: prints the table of system-call names of this architecture, so that
 * the program itself needs no libseccomp. */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/text/sysnames.h"

/* Newer than the libseccomp of the oldest system we build on; the same on every architecture. */
static const struct {
    int nr;
    const char *name;
} newer[] = {
    {451, "cachestat"},         {452, "fchmodat2"},        {453, "map_shadow_stack"},
    {454, "futex_wake"},        {455, "futex_wait"},       {456, "futex_requeue"},
    {457, "statmount"},         {458, "listmount"},        {459, "lsm_get_self_attr"},
    {460, "lsm_set_self_attr"}, {461, "lsm_list_modules"}, {462, "mseal"},
    {463, "setxattrat"},        {464, "getxattrat"},       {465, "listxattrat"},
    {466, "removexattrat"},     {467, "open_tree_attr"},   {468, "file_getattr"},
    {469, "file_setattr"},
};

static const char *newer_name(int nr)
{
    for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
        if (newer[i].nr == nr) {
            return newer[i].name;
        }
    }
    return NULL;
}

int main(void)
{
    for (int nr = 0; nr < SL_SYSNAMES_KNOWN; nr++) {
        char *found = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);
        const char *name = found != NULL ? found : newer_name(nr);
        if (name != NULL) {
            printf("SL_SYSNAME(%d, \"%s\")\n", nr, name);
        }
        free(found);
    }
    return 0;
}
