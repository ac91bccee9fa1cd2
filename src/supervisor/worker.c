/* Owns the thread that may block, and its queue. It answers nothing of its own accord. */
#include "supervisor/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "kernel/thread.h"
#include "supervisor/supervisor.h"

#define STACK (256u * 1024u)

struct sl_worker {
    pthread_mutex_t lock;
    pthread_cond_t more;
    pthread_t thread;
    bool over;
    size_t count;
    sl_job *first;
    sl_job **last;
};

static sl_job *next_job(struct sl_worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->first == NULL && !w->over) {
        pthread_cond_wait(&w->more, &w->lock);
    }
    sl_job *job = w->over ? NULL : w->first;
    if (job != NULL) {
        w->count--;
        w->first = job->next;
        w->last = w->first == NULL ? &w->first : w->last;
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *work(void *worker)
{
    prctl(PR_SET_NAME, "sandlock-work");
    for (sl_job *job; (job = next_job(worker)) != NULL;) {
        bool ending = atomic_load_explicit(&job->call.sv->ending, memory_order_relaxed);
        sl_answer answer = ending ? SL_ANSWER_VALUE(-EPERM) : job->perform(job);
        sl_supervisor_answer(&job->call, &answer);
        job->free(job);
    }
    return NULL;
}

/* With the first job: most runs never have one. */
static struct sl_worker *begin(void)
{
    struct sl_worker *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return NULL;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    w->last = &w->first;
    if (sl_thread_start(STACK, work, w, &w->thread) < 0) {
        pthread_cond_destroy(&w->more);
        pthread_mutex_destroy(&w->lock);
        free(w);
        return NULL;
    }
    return w;
}

static bool put(struct sl_worker *w, sl_job *job)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->count < SL_WORKER_QUEUE_MAX;
    if (room) {
        w->count++;
        job->next = NULL;
        *w->last = job;
        w->last = &job->next;
        pthread_cond_signal(&w->more);
    }
    pthread_mutex_unlock(&w->lock);
    return room;
}

sl_answer sl_worker_start(sl_job *job)
{
    sl_supervisor *sv = job->call.sv;
    if (sv->worker == NULL) {
        sv->worker = begin();
    }
    if (sv->worker == NULL || !put(sv->worker, job)) {
        job->free(job);
        return SL_ANSWER_VALUE(-ENOMEM);
    }
    return SL_ANSWER_DEFER;
}

void sl_worker_free(sl_supervisor *sv)
{
    struct sl_worker *w = sv->worker;
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    while (w->first != NULL) {
        sl_job *next = w->first->next;
        w->first->free(w->first);
        w->first = next;
    }
    pthread_cond_destroy(&w->more);
    pthread_mutex_destroy(&w->lock);
    free(w);
    sv->worker = NULL;
}
