/* The engine's end of the link to the gateway (policy/link.h): what is sent and what is believed.
 */
#ifndef SANDLOCK_ENGINE_LINK_H
#define SANDLOCK_ENGINE_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "core/err.h"
#include "core/util.h"
#include "engine/files.h"
#include "policy/link.h"
#include "policy/policy.h"
#include "policy/synth.h"

#define SL_LINK_QUEUE_MAX 4096 /* messages that wait for room in the socket */

typedef struct sl_link sl_link;

typedef struct sl_link_events {
    void *arg;
    /* Taken over, one an artefact; all -1: no trust is needed. Called once. */
    void (*on_ready)(void *arg, const int fds[SL_ARTEFACTS]);
    void (*on_resolved)(void *arg, const struct sl_link_resolved *resolved);
    void (*on_denied)(void *arg, const struct sl_link_denied *denied);
    void (*on_bye)(void *arg, const struct sl_link_bye *bye);
    /* The gateway cannot go on: one sentence. Called once. */
    void (*on_failed)(void *arg, const char *message);
} sl_link_events;

/* Makes the link and the map; what is sent waits until the gateway was greeted. */
int sl_link_new(sl_link **ret_link, sl_error *err);
void sl_link_free(sl_link *l);
SL_DEFINE_AUTO(sl_link, sl_link_free);

/* The gateway's end, for its process: now the caller's. -1 when it was taken before. */
int sl_link_take_peer(sl_link *l);

/* Sends the policy, the map and the files: the first message, whatever was given to send before. */
int sl_link_hello(sl_link *l, const sl_policy *policy, const sl_files *files, sl_error *err);
/* Blocks until READY or FAILED, for policies whose own CA must be checked before anything runs. */
int sl_link_wait_ready(sl_link *l, const sl_link_events *events, sl_error *err);

/* Joins the loop; from now on events are told. */
int sl_link_attach(sl_link *l, uv_loop_t *loop, const sl_link_events *events);

/* Any thread; never blocks. `fd` stays the caller's (-1: none). 0, -ENOBUFS, -ENOMEM, or
 * what sendmsg(2) or fcntl(2) says (-EPIPE: the gateway is gone). */
int sl_link_send(sl_link *l, const void *message, size_t len, int fd);

const sl_synth_map *sl_link_synth(const sl_link *l);
/* True once anything was asked of it: then its summary is worth waiting for. */
bool sl_link_was_used(const sl_link *l);
/* Asks for the summary; on_bye comes. */
void sl_link_quit(sl_link *l);

#endif
