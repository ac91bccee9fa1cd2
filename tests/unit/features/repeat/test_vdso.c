/* The plan of what is written over a vDSO, and the writing, into a copy of our own image: the bytes
 * that are there afterwards, and that what is no such image is left alone. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "features/repeat/vdso.h"

#define IMAGE_LEN 8192u
#define BASE      65536u /* where it lies in the memory that is written */

static const uint8_t *own(void)
{
    return (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
}

/* A memory with a copy of our image at BASE. */
static int memory(void)
{
    int fd = memfd_create("memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(pwrite(fd, own(), IMAGE_LEN, BASE), IMAGE_LEN);
    return fd;
}

static sl_vdso_plan must_plan(bool time, int64_t offset_ns, bool random)
{
    sl_vdso_plan plan;
    sl_error err;
    if (sl_vdso_make_plan(time, offset_ns, random, &plan, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return plan;
}

static void test_offsets(void **state)
{
    static const struct {
        int64_t ns;
        int64_t seconds;
        int64_t rest_ns;
    } cases[] = {
        {0, 0, 0},
        {1500000000, 1, 500000000},
        {-1000000000, -1, 0},
        {-1, -1, 999999999}, /* never negative: the code adds it to what the clock says */
        {-1500000000, -2, 500000000},
    };
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(cases); i++) {
        sl_vdso_plan plan = must_plan(true, cases[i].ns, false);
        int64_t words[3];
        memcpy(words, plan.code, sizeof(words));
        assert_int_equal(words[0], cases[i].seconds);
        assert_int_equal(words[1], cases[i].rest_ns);
        assert_int_equal(words[2], cases[i].rest_ns / 1000);
    }
}

static void test_plan(void **state)
{
    (void)state;
    sl_vdso_plan none = must_plan(false, 0, false);
    sl_vdso_plan time = must_plan(true, 1, false);
    sl_vdso_plan both = must_plan(true, 1, true);
    assert_int_equal(none.jump_count, 0);
    assert_true(time.jump_count >= 2); /* clock_gettime and gettimeofday at the least */
    assert_true(both.jump_count >= time.jump_count);
    assert_true(both.jump_count <= SL_VDSO_JUMPS);
    assert_memory_equal(time.head, own(), SL_VDSO_HEAD);
    assert_memory_not_equal(time.marked, time.head, SL_VDSO_HEAD);
    assert_int_equal(time.code_at % 16, 0);
    assert_true(time.state_at >= time.code_at + SL_VDSO_CODE_MAX);
    assert_true(time.state_at + SL_VDSO_STATE <= IMAGE_LEN);
    for (size_t i = 0; i < both.jump_count; i++) { /* no function lies where our code goes */
        assert_true(both.jumps[i].at + SL_ARCH_JUMP <= both.code_at ||
                    both.jumps[i].at >= both.state_at + SL_VDSO_STATE);
    }
}

static void test_apply(void **state)
{
    uint8_t image[IMAGE_LEN];
    (void)state;
    sl_vdso_plan plan = must_plan(true, 1000, true);
    sl_autoclose int mem = memory();
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE), 1);
    assert_int_equal(pread(mem, image, sizeof(image), BASE), sizeof(image));
    assert_memory_equal(image, plan.marked, SL_VDSO_HEAD);
    assert_memory_equal(image + plan.code_at, plan.code, SL_VDSO_CODE_MAX);
    for (size_t i = 0; i < plan.jump_count; i++) {
        assert_memory_equal(image + plan.jumps[i].at, plan.jumps[i].bytes, SL_ARCH_JUMP);
    }
    const Elf64_Ehdr *elf = (const Elf64_Ehdr *)image;
    assert_int_equal(elf->e_shnum, 0); /* no section headers: our code is there */
    assert_int_equal(elf->e_shoff, 0);
    assert_int_equal(elf->e_phnum, ((const Elf64_Ehdr *)own())->e_phnum);
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE), 0); /* it was */
}

static void test_something_else(void **state)
{
    uint8_t before[IMAGE_LEN];
    uint8_t after[IMAGE_LEN];
    (void)state;
    sl_vdso_plan plan = must_plan(true, 1000, false);
    sl_autoclose int mem = memory();
    assert_int_equal(sl_vdso_apply(&plan, mem, 0), -ENOENT);          /* zeros */
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE + 8), -ENOENT);   /* beside it */
    assert_int_equal(sl_vdso_apply(&plan, mem, 100 * BASE), -ENOENT); /* nothing */
    assert_int_equal(pwrite(mem,
                            "\x7f"
                            "ELF\x01",
                            5, BASE),
                     5); /* of 32 bits */
    assert_int_equal(pread(mem, before, sizeof(before), BASE), sizeof(before));
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE), -ENOENT);
    assert_int_equal(pread(mem, after, sizeof(after), BASE), sizeof(after));
    assert_memory_equal(before, after, sizeof(before)); /* not a byte */
}

static void test_unwritable(void **state)
{
    (void)state;
    sl_vdso_plan plan = must_plan(true, 1000, false);
    sl_autoclose int mem = memory();
    assert_int_equal(fcntl(mem, F_ADD_SEALS, F_SEAL_WRITE), 0);
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE), -EACCES);
}

static void test_state(void **state)
{
    uint8_t room[SL_VDSO_STATE];
    uint8_t zeros[SL_VDSO_STATE] = {0};
    (void)state;
    sl_vdso_plan plan = must_plan(true, 1000, false);
    sl_autoclose int mem = memory();
    assert_int_equal(sl_vdso_read_state(&plan, mem, BASE, room, sizeof(room)), -ENOENT);
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE), 1);
    assert_int_equal(sl_vdso_read_state(&plan, mem, BASE, room, sizeof(room)), 0);
    assert_memory_equal(room, zeros, sizeof(room));
    memset(room, 0x5a, sizeof(room));
    assert_int_equal(sl_vdso_write_state(&plan, mem, BASE, room, sizeof(room)), 0);
    memset(room, 0, sizeof(room));
    assert_int_equal(sl_vdso_read_state(&plan, mem, BASE, room, sizeof(room)), 0);
    assert_int_equal(room[SL_VDSO_STATE - 1], 0x5a);
    assert_int_equal(sl_vdso_apply(&plan, mem, BASE), 0); /* and it stays */
    assert_int_equal(sl_vdso_read_state(&plan, mem, BASE, room, 1), 0);
    assert_int_equal(room[0], 0x5a);
}

int main(void)
{
    sl_vdso_plan plan;
    if (sl_arch_vdso_code()->code_len == 0 || own() == NULL ||
        sl_vdso_make_plan(true, 0, true, &plan, NULL) < 0) {
        printf("skipped: there is no vDSO here that is known\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets),    cmocka_unit_test(test_plan),
        cmocka_unit_test(test_apply),      cmocka_unit_test(test_something_else),
        cmocka_unit_test(test_unwritable), cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
