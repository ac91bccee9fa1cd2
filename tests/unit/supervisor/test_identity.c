/* Ids of the command and of its host: one is one, all others are nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "supervisor/identity.h"

#define NOBODY 65534

static void maps(const sl_policy *p, unsigned *ret_uid, unsigned *ret_gid)
{
    char uid[SL_IDENTITY_MAP_MAX];
    char gid[SL_IDENTITY_MAP_MAX];
    unsigned outside;
    unsigned n;
    sl_identity_maps(p, uid, gid);
    assert_int_equal(sscanf(uid, "%u %u %u", ret_uid, &outside, &n), 3);
    assert_int_equal(outside, geteuid());
    assert_int_equal(n, 1);
    assert_int_equal(sscanf(gid, "%u %u %u", ret_gid, &outside, &n), 3);
    assert_int_equal(outside, getegid());
    assert_int_equal(n, 1);
}

static void test_as_it_is(void **state)
{
    uid_t uid = 0;
    gid_t gid = 0;
    (void)state;
    SL_AUTO(sl_policy) p = sl_policy_new();
    assert_true(sl_identity_uid_outside(p, 1234, &uid));
    assert_int_equal(uid, 1234);
    assert_true(sl_identity_gid_outside(p, (gid_t)-1, &gid));
    assert_true(gid == (gid_t)-1);
    assert_int_equal(sl_identity_uid_inside(p, 1234), 1234);
    assert_int_equal(sl_identity_gid_inside(p, 1234), 1234);
}

static void test_root(void **state)
{
    unsigned in_uid;
    unsigned in_gid;
    uid_t uid = 99;
    gid_t gid = 99;
    (void)state;
    SL_AUTO(sl_policy) p = sl_policy_new();
    p->privileged = true;
    maps(p, &in_uid, &in_gid);
    assert_int_equal(in_uid, 0);
    assert_int_equal(in_gid, 0);
    assert_true(sl_identity_uid_outside(p, 0, &uid));
    assert_int_equal(uid, geteuid());
    assert_false(sl_identity_uid_outside(p, 1, &uid)); /* nobody has it inside */
    assert_int_equal(uid, geteuid());                  /* untouched */
    assert_false(sl_identity_gid_outside(p, 65534, &gid));
    assert_int_equal(gid, 99);
    assert_true(sl_identity_gid_outside(p, (gid_t)-1, &gid)); /* "leave it" is no id */
    assert_true(gid == (gid_t)-1);
    assert_int_equal(sl_identity_uid_inside(p, geteuid()), 0);
    assert_int_equal(sl_identity_uid_inside(p, geteuid() + 1), NOBODY);
}

/* One of both is enough for a namespace; the other then keeps its number, and is alone as well. */
static void test_one_of_both(void **state)
{
    unsigned in_uid;
    unsigned in_gid;
    uid_t uid;
    gid_t gid;
    (void)state;
    SL_AUTO(sl_policy) p = sl_policy_new();
    p->uid = 4321;
    maps(p, &in_uid, &in_gid);
    assert_int_equal(in_uid, 4321);
    assert_int_equal(in_gid, getegid());
    assert_true(sl_identity_uid_outside(p, 4321, &uid));
    assert_int_equal(uid, geteuid());
    assert_false(sl_identity_uid_outside(p, geteuid() == 4321 ? 1 : geteuid(), &uid));
    assert_true(sl_identity_gid_outside(p, getegid(), &gid));
    assert_false(sl_identity_gid_outside(p, getegid() + 1, &gid));
    assert_int_equal(sl_identity_uid_inside(p, geteuid()), 4321);
    assert_int_equal(sl_identity_gid_inside(p, getegid()), getegid());
    assert_int_equal(sl_identity_gid_inside(p, getegid() + 1), NOBODY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_one_of_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
