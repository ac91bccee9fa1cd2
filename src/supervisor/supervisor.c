/* Owns the life of a supervisor: its chains, the states of its features, its threads. */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel/thread.h"
#include "supervisor/deferred.h"
#include "supervisor/listing.h"
#include "supervisor/vfile.h"
#include "supervisor/worker.h"

#define DISPATCHER_STACK (256u * 1024u)

bool sl_feature_promises_nothing(const sl_policy *policy)
{
    (void)policy;
    return false;
}

void *sl_supervisor_state(const sl_supervisor *sv, const sl_feature *feature)
{
    for (size_t i = 0; i < sv->wanted_count; i++) {
        if (sv->wanted[i] == feature) {
            return sv->states[i];
        }
    }
    return NULL;
}

bool sl_supervisor_writes(const sl_supervisor *sv)
{
    for (size_t i = 0; i < sv->wanted_count; i++) {
        if (sv->wanted[i]->writes != NULL && sv->wanted[i]->writes(sv->policy)) {
            return true;
        }
    }
    return false;
}

static int add_rows(sl_supervisor *sv, const sl_feature *f, size_t *used)
{
    for (size_t i = 0; i < f->row_count; i++) {
        uint8_t *index = &sv->chain_of[f->rows[i].nr];
        if (*index == 0 && *used == SL_CHAINS_MAX) {
            return -E2BIG;
        }
        *index = *index == 0 ? (uint8_t)(*used)++ : *index;
        sl_chain *chain = &sv->chains[*index];
        if (chain->count == SL_CHAIN_MAX) {
            return -E2BIG;
        }
        chain->rows[chain->count++] = &f->rows[i];
    }
    return 0;
}

/* Few system calls are trapped: a table of all would cost the start its page faults. */
static int build_chains(sl_supervisor *sv)
{
    size_t used = 1;
    size_t rows = 1;
    int r = 0;
    for (size_t i = 0; i < sv->wanted_count; i++) {
        rows += sv->wanted[i]->row_count;
    }
    sv->chains = calloc(SL_MIN(rows, (size_t)SL_CHAINS_MAX), sizeof(*sv->chains));
    if (sv->chains == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; r == 0 && i < sv->wanted_count; i++) {
        r = add_rows(sv, sv->wanted[i], &used);
    }
    return r;
}

static int choose(sl_supervisor *sv, const sl_feature *const *features, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!features[i]->wanted(sv->policy)) {
            continue;
        }
        if (sv->wanted_count == SL_FEATURES_MAX) {
            return -E2BIG;
        }
        sv->wanted[sv->wanted_count++] = features[i];
    }
    return 0;
}

static int set_up(sl_supervisor *sv, sl_error *err)
{
    for (size_t i = 0; i < sv->wanted_count; i++) {
        const sl_feature *f = sv->wanted[i];
        if (f->state_size > 0 && (sv->states[i] = calloc(1, f->state_size)) == NULL) {
            return sl_error_set(err, ENOMEM, "not enough memory");
        }
        int r = f->setup == NULL ? 0 : f->setup(sv, sv->states[i], err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

int sl_supervisor_new(const sl_policy *policy, const sl_fsview *view,
                      const sl_feature *const *features, size_t count, sl_supervisor **ret_sv,
                      sl_error *err)
{
    SL_AUTO(sl_supervisor) sv = calloc(1, sizeof(*sv));
    if (sv == NULL) {
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    sv->policy = policy;
    sv->view = view;
    atomic_init(&sv->listener, -1);
    int r = choose(sv, features, count);
    r = r < 0 ? r : build_chains(sv);
    r = r < 0 ? r : sl_deferred_new(sv);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot prepare the supervisor: %s", strerror(-r));
    }
    r = set_up(sv, err);
    if (r < 0) {
        return r;
    }
    *ret_sv = sl_steal(&sv);
    return 0;
}

void sl_supervisor_free(sl_supervisor *sv)
{
    if (sv == NULL) {
        return;
    }
    sl_worker_free(sv);
    for (size_t i = 0; i < sv->wanted_count; i++) {
        if (sv->states[i] != NULL && sv->wanted[i]->teardown != NULL) {
            sv->wanted[i]->teardown(sv->states[i]);
        }
        free(sv->states[i]);
    }
    sl_vfile_done(sv);
    sl_listing_done(sv);
    sl_deferred_free(sv);
    for (size_t i = 0; i < SL_PIDFD_CACHE; i++) {
        if (sv->pidfds[i].tid != 0) {
            sl_close(sv->pidfds[i].fd);
        }
    }
    sl_close(atomic_load(&sv->listener));
    free(sv->chains);
    free(sv);
}

int sl_supervisor_start(sl_supervisor *sv, sl_error *err)
{
    int r = sl_thread_start(DISPATCHER_STACK, sl_dispatch_thread, sv, &sv->dispatcher);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot start the supervisor's thread: %s", strerror(-r));
    }
    sv->dispatcher_runs = true;
    return 0;
}

void sl_supervisor_release(sl_supervisor *sv)
{
    int none = -1;
    if (atomic_compare_exchange_strong(&sv->listener, &none, -2)) {
        syscall(SYS_futex, &sv->listener, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

void sl_supervisor_join(sl_supervisor *sv)
{
    if (sv->dispatcher_runs) {
        pthread_join(sv->dispatcher, NULL);
        sv->dispatcher_runs = false;
    }
}

void sl_supervisor_stop_features(sl_supervisor *sv)
{
    for (size_t i = 0; i < sv->wanted_count; i++) {
        if (sv->wanted[i]->stop != NULL) {
            sv->wanted[i]->stop(sv->states[i]);
        }
    }
}

int sl_supervisor_start_features(sl_supervisor *sv, sl_error *err)
{
    for (size_t i = 0; i < sv->wanted_count; i++) {
        const sl_feature *f = sv->wanted[i];
        int r = f->start == NULL ? 0 : f->start(sv, sv->states[i], err);
        if (r < 0) {
            sl_supervisor_stop_features(sv);
            return r;
        }
    }
    return 0;
}
