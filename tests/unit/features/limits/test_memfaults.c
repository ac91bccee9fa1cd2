/* Faults are counted as memory comes, and huge pages apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "features/limits/memfaults.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGES 500
#define HUGE  8

static char *reserve(size_t len)
{
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* A part that huge pages fit into. */
static char *aligned(char *p, uint64_t size)
{
    return p + (size - (uintptr_t)p % size) % size;
}

static void each_page_that_is_touched(void **state)
{
    (void)state;
    sl_memfaults f;
    sl_memfaults_init(&f);
    assert_true(f.page_size >= (uint64_t)sysconf(_SC_PAGESIZE) && f.page_size <= f.huge_size);
    char *p = reserve(PAGES * f.page_size);
    madvise(p, PAGES * f.page_size, MADV_NOHUGEPAGE);
    uint64_t before = sl_memfaults_count(getpid());
    assert_true(before > 0);
    for (size_t i = 0; i < PAGES; i++) {
        p[i * f.page_size] = 1;
    }
    assert_true(sl_memfaults_count(getpid()) >= before + PAGES);
    munmap(p, PAGES * f.page_size);
    sl_memfaults_done(&f);
}

static void pages_that_the_kernel_fills(void **state)
{
    (void)state;
    sl_memfaults f;
    sl_memfaults_init(&f);
    uint64_t before = sl_memfaults_count(getpid());
    size_t len = PAGES * f.page_size;
    char *p =
        mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    uint64_t made = (sl_memfaults_count(getpid()) - before) * f.page_size;
    assert_true(made + sl_memfaults_huge(&f) * f.huge_size >= len);
    munmap(p, len);
    sl_memfaults_done(&f);
}

static bool has_huge_pages(void)
{
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
    bool has =
        file != NULL && fgets(text, sizeof(text), file) != NULL && strstr(text, "[never]") == NULL;
    if (file != NULL) {
        fclose(file);
    }
    return has;
}

/* By a fault, and in place of small pages. */
static void huge_pages(void **state)
{
    (void)state;
    if (!has_huge_pages()) {
        print_message("huge pages are switched off on this machine\n");
        skip();
    }
    sl_memfaults f;
    sl_memfaults_init(&f);
    char *all = reserve((HUGE + 1) * f.huge_size);
    char *p = aligned(all, f.huge_size);
    assert_int_equal(madvise(p, HUGE * f.huge_size, MADV_HUGEPAGE), 0);
    uint64_t before = sl_memfaults_huge(&f);
    for (size_t i = 0; i < HUGE; i++) {
        p[i * f.huge_size] = 1;
    }
    assert_true(sl_memfaults_huge(&f) > before);
    munmap(all, (HUGE + 1) * f.huge_size);

    all = reserve((HUGE + 1) * f.huge_size);
    p = aligned(all, f.huge_size);
    madvise(p, HUGE * f.huge_size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < HUGE; i++) {
        p[i * f.huge_size] = 1;
    }
    madvise(p, HUGE * f.huge_size, MADV_HUGEPAGE);
    before = sl_memfaults_huge(&f);
    if (madvise(p, HUGE * f.huge_size, MADV_COLLAPSE) == 0) {
        assert_true(sl_memfaults_huge(&f) > before);
    }
    munmap(all, (HUGE + 1) * f.huge_size);
    sl_memfaults_done(&f);
}

static void nobody_has_none(void **state)
{
    (void)state;
    assert_int_equal(sl_memfaults_count(0x7ffffff0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_page_that_is_touched),
        cmocka_unit_test(pages_that_the_kernel_fills),
        cmocka_unit_test(huge_pages),
        cmocka_unit_test(nobody_has_none),
    };
    return cmocka_run_group_tests_name("memfaults", tests, NULL, NULL);
}
