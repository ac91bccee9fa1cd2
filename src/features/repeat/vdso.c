/* Owns the plan of what is written into a vDSO and the writing. Reads only our own image, never
 * that of a confined program: the kernel maps the same one for both.
 *
 * Our code takes the place of the section headers, which nothing but a debugger reads. Functions of
 * the clock jump to it: a real system call, whose third argument says that it is ours and needs no
 * trap, and the offset added to the answer. That is as fast as a system call and exact, and it goes
 * with a fork as any memory does. */
#include "features/repeat/vdso.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/util.h"

#define MARK "sl" /* in the padding of e_ident */

struct symbols {
    const Elf64_Sym *table;
    const char *names;
    size_t count;
};

static int find_symbols(const uint8_t *image, struct symbols *ret)
{
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image;
    const Elf64_Phdr *ph = (const Elf64_Phdr *)(image + elf->e_phoff);
    const uint32_t *hash = NULL;
    for (size_t i = 0; i < elf->e_phnum; i++) {
        if (ph[i].p_type != PT_DYNAMIC) {
            continue;
        }
        /* Linked at 0: an address there is an offset. */
        for (const Elf64_Dyn *d = (const Elf64_Dyn *)(image + ph[i].p_offset); d->d_tag != DT_NULL;
             d++) {
            if (d->d_tag == DT_SYMTAB) {
                ret->table = (const Elf64_Sym *)(image + d->d_un.d_ptr);
            } else if (d->d_tag == DT_STRTAB) {
                ret->names = (const char *)(image + d->d_un.d_ptr);
            } else if (d->d_tag == DT_HASH) {
                hash = (const uint32_t *)(image + d->d_un.d_ptr);
            }
        }
    }
    if (hash == NULL || ret->table == NULL || ret->names == NULL) {
        return -ENOEXEC;
    }
    ret->count = hash[1]; /* nchain: one for each symbol */
    return 0;
}

static int add_jump(sl_vdso_plan *plan, const struct symbols *symbols, const sl_arch_vdso *vdso,
                    const sl_arch_stand_in *function)
{
    for (size_t i = 0; i < symbols->count; i++) {
        const Elf64_Sym *s = &symbols->table[i];
        if (strcmp(symbols->names + s->st_name, function->name) != 0) {
            continue;
        }
        if (s->st_size < SL_ARCH_JUMP || plan->jump_count == SL_VDSO_JUMPS) {
            return -ENOEXEC;
        }
        uint32_t at = (uint32_t)s->st_value;
        uint32_t to = plan->code_at + (uint32_t)(function->code - vdso->code);
        vdso->write_jump((int32_t)(to - at), plan->jumps[plan->jump_count].bytes);
        plan->jumps[plan->jump_count++].at = at;
        return 0;
    }
    return 0; /* not in this kernel: nobody can call it */
}

static int plan_code(bool time, int64_t offset_ns, bool random, const uint8_t *image,
                     sl_vdso_plan *plan)
{
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image;
    struct symbols symbols = {0};
    int64_t offset[3] = {offset_ns / 1000000000, offset_ns % 1000000000};
    const sl_arch_vdso *vdso = sl_arch_vdso_code();
    size_t len = vdso->code_len;
    if (len == 0 || memcmp(elf->e_ident, ELFMAG, SELFMAG) != 0 ||
        (size_t)elf->e_shnum * elf->e_shentsize < SL_VDSO_CODE_MAX + SL_VDSO_STATE + 16 ||
        len > SL_VDSO_CODE_MAX || find_symbols(image, &symbols) < 0) {
        return -ENOEXEC;
    }
    if (offset[1] < 0) {
        offset[0]--;
        offset[1] += 1000000000;
    }
    offset[2] = offset[1] / 1000;
    plan->code_at = (uint32_t)((elf->e_shoff + 15) & ~(Elf64_Off)15);
    plan->state_at = plan->code_at + SL_VDSO_CODE_MAX;
    memcpy(plan->code, vdso->code, len);
    memcpy(plan->code, offset, sizeof(offset));
    int r = 0;
    for (size_t i = 0; r == 0 && i < vdso->function_count; i++) {
        if (vdso->functions[i].random ? random : time) {
            r = add_jump(plan, &symbols, vdso, &vdso->functions[i]);
        }
    }
    return r;
}

int sl_vdso_make_plan(bool time, int64_t offset_ns, bool random, sl_vdso_plan *ret_plan,
                      sl_error *err)
{
    const uint8_t *image = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
    sl_vdso_plan plan = {0};
    if (image == NULL || plan_code(time, offset_ns, random, image, &plan) < 0) {
        return sl_error_set(err, ENOSYS,
                            "this kernel's vDSO is not one that --time-start and --random-seed "
                            "know");
    }
    memcpy(plan.head, image, SL_VDSO_HEAD);
    memcpy(plan.marked, image, SL_VDSO_HEAD);
    memcpy(plan.marked + EI_PAD, MARK, sizeof(MARK) - 1);
    *ret_plan = plan;
    return 0;
}

static int put(int mem, uint64_t at, const void *bytes, size_t len)
{
    return pwrite(mem, bytes, len, (off_t)at) == (ssize_t)len ? 0 : -EACCES;
}

int sl_vdso_apply(const sl_vdso_plan *plan, int mem, uint64_t base)
{
    uint8_t head[SL_VDSO_HEAD];
    const uint8_t none[SL_VDSO_STATE] = {0};
    if (pread(mem, head, sizeof(head), (off_t)base) != (ssize_t)sizeof(head)) {
        return -ENOENT;
    }
    if (memcmp(head, plan->marked, sizeof(head)) == 0) {
        return 0;
    }
    if (memcmp(head, plan->head, sizeof(head)) != 0) {
        return -ENOENT;
    }
    int r = put(mem, base + plan->code_at, plan->code, sizeof(plan->code));
    r = r < 0 ? r : put(mem, base + plan->state_at, none, sizeof(none));
    for (size_t i = 0; r == 0 && i < plan->jump_count; i++) {
        r = put(mem, base + plan->jumps[i].at, plan->jumps[i].bytes, SL_ARCH_JUMP);
    }
    /* No section headers any more, and the mark, last. */
    const uint64_t no_offset = 0;
    const uint16_t no_sections[2] = {0, 0}; /* e_shnum, e_shstrndx */
    r = r < 0 ? r : put(mem, base + offsetof(Elf64_Ehdr, e_shoff), &no_offset, sizeof(no_offset));
    r = r < 0 ? r
              : put(mem, base + offsetof(Elf64_Ehdr, e_shnum), no_sections, sizeof(no_sections));
    r = r < 0 ? r : put(mem, base, plan->marked, sizeof(plan->marked));
    return r < 0 ? r : 1;
}

int sl_vdso_read_state(const sl_vdso_plan *plan, int mem, uint64_t base, void *state, size_t len)
{
    uint8_t head[SL_VDSO_HEAD];
    if (pread(mem, head, sizeof(head), (off_t)base) != (ssize_t)sizeof(head) ||
        memcmp(head, plan->marked, sizeof(head)) != 0 ||
        pread(mem, state, len, (off_t)(base + plan->state_at)) != (ssize_t)len) {
        return -ENOENT;
    }
    return 0;
}

int sl_vdso_write_state(const sl_vdso_plan *plan, int mem, uint64_t base, const void *state,
                        size_t len)
{
    return put(mem, base + plan->state_at, state, len);
}
