/* The gateway in the service of one run: what the sandbox asks goes to it, what it answers goes to
 * sandbox and report. A run without one has its decisions reported all the same. */
#ifndef SANDLOCK_ENGINE_SERVICE_H
#define SANDLOCK_ENGINE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "core/err.h"
#include "engine/caller/report.h"
#include "engine/prepare.h"

typedef struct sl_service sl_service;

typedef struct sl_service_events {
    void *arg;
    void (*on_bye)(void *arg);                         /* its summary is in the report */
    void (*on_failed)(void *arg, const char *message); /* it cannot go on. Called once */
} sl_service_events;

void sl_service_free(sl_service *s);

/* Sets the sandbox's hooks; with a gateway makes the link, and where the user's own certificates
 * must be right before anything runs, starts it and waits for its answer. Both outlive it. Of a
 * failure too `ret_service` may be there, to be killed. */
int sl_service_begin(sl_prepared *prepared, sl_report *report, sl_service **ret_service,
                     sl_error *err);

/* Starts the gateway, unless it was started or there is none. After the command: what it has to do
 * at its start would take the time of what the user waits for, and what the command asks meanwhile
 * waits in the link. */
int sl_service_start(sl_service *s, sl_error *err);

/* Joins the loop; from now on events are told. */
int sl_service_attach(sl_service *s, uv_loop_t *loop, const sl_service_events *events);

pid_t sl_service_pid(const sl_service *s); /* 0: none */
/* What the gateway decided up to now, before its last word. */
void sl_service_counts(const sl_service *s, uint64_t *ret_allowed, uint64_t *ret_denied);
/* Asks for its summary: true when on_bye is to come, or on_failed; false: there is nothing to say.
 */
bool sl_service_quit(sl_service *s);
/* NULL: nothing to do. */
void sl_service_kill(sl_service *s);

#endif
