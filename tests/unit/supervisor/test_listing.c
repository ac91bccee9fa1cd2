/* Directories with names left out: all others come, in whatever pieces they are asked for, and the
 * end only once nothing is left. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "supervisor/listing.h"
#include "tidy.h"
#include "trapped.h"

#define FILES 300

static char folder[64];
static char room[65536]; /* the child's, at this address */

static int set_up(void **state)
{
    char path[128];
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/sandlock-listing-XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (int i = 0; i < FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s-%03d", folder, i % 3 == 0 ? "hidden" : "shown", i);
        sl_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tidy_tree(folder);
    return 0;
}

static bool keep(const char *name, const void *arg)
{
    return strncmp(name, arg, strlen(arg)) != 0;
}

static bool keep_none(const char *name, const void *arg)
{
    (void)name;
    (void)arg;
    return false;
}

static void call_with(struct trapped *t, uint64_t at, uint64_t size)
{
    t->call.nr = SYS_getdents64;
    t->call.args[1] = at;
    t->call.args[2] = size;
}

/* The names of one answer, read out of the child, counted by their beginning. */
static void count(struct trapped *t, int64_t len, unsigned *ret_shown, unsigned *ret_others)
{
    static char copy[sizeof(room)];
    assert_int_equal(sl_call_read(&t->call, t->call.args[1], copy, (size_t)len), 0);
    for (int64_t at = 0; at < len;) {
        const struct dirent64 *e = (const struct dirent64 *)(copy + at);
        assert_true(e->d_reclen > 0 && at + e->d_reclen <= len); /* whole entries */
        assert_true(strncmp(e->d_name, "hidden", 6) != 0);
        *(strncmp(e->d_name, "shown", 5) == 0 ? ret_shown : ret_others) += 1;
        at += e->d_reclen;
    }
}

static void test_sizes(void **state)
{
    static const uint64_t sizes[] = {64, 100, 512, 4096, 65536, UINT64_C(1) << 40 | 32768};
    (void)state;
    for (size_t i = 0; i < SL_ARRAY_LEN(sizes); i++) {
        unsigned shown = 0;
        unsigned others = 0;
        sl_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct trapped *t = trap((const uint64_t[6]){0}, NULL);
        call_with(t, (uint64_t)(uintptr_t)room, sizes[i]);
        for (;;) {
            sl_answer a = sl_listing_answer(&t->call, fd, keep, "hidden");
            assert_int_equal(a.kind, SL_RETURN);
            assert_true(a.value >= 0 && a.value <= (int64_t)(uint32_t)sizes[i]);
            if (a.value == 0) {
                break;
            }
            count(t, a.value, &shown, &others);
        }
        assert_int_equal(shown, FILES - FILES / 3);
        assert_int_equal(others, 2); /* "." and ".." */
        assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
    }
}

static void test_nothing_stays(void **state)
{
    (void)state;
    sl_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    call_with(t, (uint64_t)(uintptr_t)room, 512);
    assert_int_equal(sl_listing_answer(&t->call, fd, keep_none, NULL).value,
                     0); /* the end at once */
    assert_int_equal(trapped_answer(t, SL_ANSWER_VALUE(0)), 0);
}

static void test_refused(void **state)
{
    (void)state;
    sl_autoclose int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    sl_autoclose int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct trapped *t = trap((const uint64_t[6]){0}, NULL);
    call_with(t, (uint64_t)(uintptr_t)room, 8); /* no room for one entry */
    assert_int_equal(sl_listing_answer(&t->call, fd, keep, "hidden").value, -EINVAL);
    call_with(t, (uint64_t)(uintptr_t)room, 512);
    assert_int_equal(sl_listing_answer(&t->call, file, keep, "hidden").value, -ENOTDIR);
    call_with(t, 1, 512); /* nowhere */
    assert_int_equal(sl_listing_answer(&t->call, fd, keep, "hidden").value, -EFAULT);
    call_with(t, (uint64_t)(uintptr_t)room, 512);
    t->call.nr = SYS_getppid; /* another call, as the old getdents */
    assert_int_equal(sl_listing_answer(&t->call, fd, keep, "hidden").value, -ENOSYS);
    kill(t->pid, SIGKILL);
    assert_int_equal(waitpid(t->pid, NULL, 0), t->pid);
    call_with(t, (uint64_t)(uintptr_t)room, 512);
    assert_true(sl_listing_answer(&t->call, fd, keep, "hidden").value < 0); /* gone meanwhile */
    close(atomic_load(&t->sv.listener));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
