/* The worker: jobs in their order, one at a time, a full queue refuses, and what is not done at the
 * end is freed unanswered. Each job is freed once, whatever becomes of it. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alloc.h"
#include "core/util.h"
#include "supervisor/supervisor.h"
#include "supervisor/worker.h"

struct job {
    sl_job job;
    unsigned number;
};

static sl_supervisor sv;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER; /* jobs wait at it */
static atomic_uint performed;
static atomic_uint freed;
static atomic_bool out_of_order;
static pthread_barrier_t in_hand; /* the first job is with the worker */

static sl_answer perform(sl_job *job)
{
    const struct job *j = (const struct job *)job;
    if (j->number == 0) {
        pthread_barrier_wait(&in_hand);
    }
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    if (atomic_fetch_add(&performed, 1) != j->number) {
        atomic_store(&out_of_order, true);
    }
    return SL_ANSWER_VALUE(0);
}

static void free_job(sl_job *job)
{
    atomic_fetch_add(&freed, 1);
    free(job);
}

static sl_answer start(unsigned number)
{
    struct job *j = calloc(1, sizeof(*j));
    j->job = (sl_job){.call = {.sv = &sv}, .perform = perform, .free = free_job};
    j->number = number;
    return sl_worker_start(&j->job);
}

static int set_up(void **state)
{
    (void)state;
    sv.worker = NULL;
    atomic_store(&sv.ending, false);
    atomic_store(&sv.listener, -1); /* nobody hears the answers */
    performed = 0;
    freed = 0;
    out_of_order = false;
    assert_int_equal(pthread_barrier_init(&in_hand, NULL, 2), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pthread_barrier_destroy(&in_hand);
    return 0;
}

/* One is in hand, all others wait: the maximum of them, and not one more. */
static void test_full(void **state)
{
    (void)state;
    sl_worker_free(&sv); /* there is none: nothing */
    pthread_mutex_lock(&gate);
    assert_int_equal(start(0).kind, SL_DEFER);
    pthread_barrier_wait(&in_hand);
    for (unsigned i = 1; i <= SL_WORKER_QUEUE_MAX; i++) {
        assert_int_equal(start(i).kind, SL_DEFER);
    }
    sl_answer a = start(9999);
    assert_int_equal(a.kind, SL_RETURN);
    assert_int_equal(a.value, -ENOMEM);
    assert_int_equal(freed, 1); /* the refused one */
    assert_int_equal(performed, 0);
    pthread_mutex_unlock(&gate);
    sl_worker_free(&sv); /* behind the job in hand */
    assert_null(sv.worker);
    assert_int_equal(freed, SL_WORKER_QUEUE_MAX + 2);
    assert_true(performed >= 1);
    assert_false(out_of_order);
}

static pthread_barrier_t last_done;

static void free_last(sl_job *job)
{
    free_job(job);
    pthread_barrier_wait(&last_done);
}

static void test_order(void **state)
{
    (void)state;
    pthread_barrier_init(&last_done, NULL, 2);
    pthread_mutex_lock(&gate);
    assert_int_equal(start(0).kind, SL_DEFER);
    pthread_barrier_wait(&in_hand);
    for (unsigned i = 1; i < 100; i++) {
        assert_int_equal(start(i).kind, SL_DEFER);
    }
    struct job *last = calloc(1, sizeof(*last));
    last->job = (sl_job){.call = {.sv = &sv}, .perform = perform, .free = free_last};
    last->number = 100;
    assert_int_equal(sl_worker_start(&last->job).kind, SL_DEFER);
    pthread_mutex_unlock(&gate);
    pthread_barrier_wait(&last_done);
    assert_int_equal(performed, 101);
    assert_int_equal(freed, 101);
    assert_false(out_of_order);
    sl_worker_free(&sv);
    pthread_barrier_destroy(&last_done);
}

/* What waits when the run ends is not done any more, and freed as ever. */
static void test_ending(void **state)
{
    (void)state;
    pthread_barrier_init(&last_done, NULL, 2);
    pthread_mutex_lock(&gate);
    assert_int_equal(start(0).kind, SL_DEFER);
    pthread_barrier_wait(&in_hand);
    assert_int_equal(start(1).kind, SL_DEFER);
    struct job *last = calloc(1, sizeof(*last));
    last->job = (sl_job){.call = {.sv = &sv}, .perform = perform, .free = free_last};
    last->number = 2;
    assert_int_equal(sl_worker_start(&last->job).kind, SL_DEFER);
    atomic_store(&sv.ending, true);
    pthread_mutex_unlock(&gate);
    pthread_barrier_wait(&last_done);
    assert_int_equal(performed, 1); /* the one in hand */
    assert_int_equal(freed, 3);
    sl_worker_free(&sv);
    pthread_barrier_destroy(&last_done);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct job *j = calloc(1, sizeof(*j));
    j->job = (sl_job){.call = {.sv = &sv}, .perform = perform, .free = free_job};
    alloc_fail(0);
    sl_answer a = sl_worker_start(&j->job);
    assert_true(alloc_failed());
    assert_int_equal(a.value, -ENOMEM);
    assert_int_equal(freed, 1);
    assert_null(sv.worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ending, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
