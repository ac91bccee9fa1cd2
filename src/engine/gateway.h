/* The engine's end of the gateway: its process and the link to it (policy/link.h). */
#ifndef SANDLOCK_ENGINE_GATEWAY_H
#define SANDLOCK_ENGINE_GATEWAY_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "core/buf.h"
#include "core/err.h"
#include "policy/link.h"
#include "policy/policy.h"
#include "policy/synth.h"
#include "sandbox/sandbox.h"

#define SL_GATEWAY_QUEUE_MAX 4096 /* messages that wait for room in the socket */

typedef struct sl_gateway sl_gateway;

typedef struct sl_gateway_events {
    void *arg;
    void (*on_ready)(void *arg, int ca_fd, int bundle_fd); /* taken over; -1: no trust is needed */
    void (*on_resolved)(void *arg, const struct sl_link_resolved *resolved);
    void (*on_denied)(void *arg, const struct sl_link_denied *denied);
    void (*on_bye)(void *arg, const struct sl_link_bye *bye);
    /* The gateway cannot go on: one sentence. Called once. */
    void (*on_failed)(void *arg, const char *message);
} sl_gateway_events;

/* Content that the confined gateway cannot read for itself; owned by the caller. */
typedef struct sl_gateway_files {
    int audit_fd; /* -1: none */
    sl_buf ca;    /* http_ca */
    sl_buf key;   /* http_key */
    sl_buf upstream_ca;
    sl_buf bundle;
} sl_gateway_files;

/* Overwrites the key and frees every text. The descriptor stays. */
void sl_gateway_files_wipe(sl_gateway_files *files);

/* The path of the gateway program: beside ours, or in ../libexec/sandlock. Caller frees. */
int sl_gateway_find(char **ret_path, sl_error *err);

/* Makes the link and the map; what is sent waits until the gateway was greeted. */
int sl_gateway_new(sl_gateway **ret_gateway, sl_error *err);
/* Starts the process. It gets nothing but its end of the link and our standard error. The sandbox
 * is told its number before its first step: until then it would pass for one of the tree, which may
 * be looked at and signalled from inside. */
int sl_gateway_start(sl_gateway *g, const char *path, sl_sandbox *sb, sl_error *err);
void sl_gateway_free(sl_gateway *g);

/* Sends the policy, the map and the files: the first message, whatever was given to send before. */
int sl_gateway_hello(sl_gateway *g, const sl_policy *policy, const sl_gateway_files *files,
                     sl_error *err);
/* Blocks until READY or FAILED, for policies whose own CA must be checked before anything runs. */
int sl_gateway_wait_ready(sl_gateway *g, const sl_gateway_events *events, sl_error *err);

/* Joins the loop; from now on events are told. */
int sl_gateway_attach(sl_gateway *g, uv_loop_t *loop, const sl_gateway_events *events);

/* Any thread; never blocks. `fd` stays the caller's (-1: none). 0, -ENOBUFS or -EPIPE. */
int sl_gateway_send(sl_gateway *g, const void *message, size_t len, int fd);

pid_t sl_gateway_pid(const sl_gateway *g);
const sl_synth_map *sl_gateway_synth(const sl_gateway *g);
/* True once anything was asked of it: then its summary is worth waiting for. */
bool sl_gateway_was_used(const sl_gateway *g);
/* Asks for the summary; on_bye comes. */
void sl_gateway_quit(sl_gateway *g);
void sl_gateway_kill(sl_gateway *g);

#endif
