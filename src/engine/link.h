/* The engine's end of the gateway: its process and the link to it (policy/link.h). */
#ifndef SANDLOCK_ENGINE_LINK_H
#define SANDLOCK_ENGINE_LINK_H

#include <stdbool.h>
#include <sys/types.h>
#include <uv.h>

#include "core/buf.h"
#include "core/err.h"
#include "policy/link.h"
#include "policy/policy.h"
#include "policy/synth.h"
#include "sandbox/sandbox.h"

#define SL_LINK_QUEUE_MAX 4096 /* messages that wait for room in the socket */

typedef struct sl_link sl_link;

typedef struct sl_link_events {
    void *arg;
    void (*on_ready)(void *arg, int ca_fd, int bundle_fd); /* taken over; -1: no trust is needed */
    void (*on_resolved)(void *arg, const struct sl_link_resolved *resolved);
    void (*on_denied)(void *arg, const struct sl_link_denied *denied);
    void (*on_bye)(void *arg, const struct sl_link_bye *bye);
    /* The gateway cannot go on: one sentence. Called once. */
    void (*on_failed)(void *arg, const char *message);
} sl_link_events;

/* Content that the confined gateway cannot read for itself; owned by the caller. */
typedef struct sl_link_files {
    int audit_fd; /* -1: none */
    sl_buf ca;    /* http_ca */
    sl_buf key;   /* http_key */
    sl_buf upstream_ca;
    sl_buf bundle;
} sl_link_files;

/* Overwrites the key and frees every text. The descriptor stays. */
void sl_link_files_wipe(sl_link_files *files);

/* The path of the gateway program: beside ours, or in ../libexec/sandlock. Caller frees. */
int sl_link_find(char **ret_path, sl_error *err);

/* Makes the link and the map; what is sent waits until the gateway was greeted. */
int sl_link_new(sl_link **ret_gateway, sl_error *err);
/* Starts the process. It gets nothing but its end of the link and our standard error. The sandbox
 * is told its number before its first step: until then it would pass for one of the tree, which may
 * be looked at and signalled from inside. */
int sl_link_start(sl_link *g, const char *path, sl_sandbox *sb, sl_error *err);
void sl_link_free(sl_link *g);

/* Sends the policy, the map and the files: the first message, whatever was given to send before. */
int sl_link_hello(sl_link *g, const sl_policy *policy, const sl_link_files *files, sl_error *err);
/* Blocks until READY or FAILED, for policies whose own CA must be checked before anything runs. */
int sl_link_wait_ready(sl_link *g, const sl_link_events *events, sl_error *err);

/* Joins the loop; from now on events are told. */
int sl_link_attach(sl_link *g, uv_loop_t *loop, const sl_link_events *events);

/* Any thread; never blocks. `fd` stays the caller's (-1: none). 0, -ENOBUFS or -EPIPE. */
int sl_link_send(sl_link *g, const void *message, size_t len, int fd);

pid_t sl_link_pid(const sl_link *g);
const sl_synth_map *sl_link_synth(const sl_link *g);
/* True once anything was asked of it: then its summary is worth waiting for. */
bool sl_link_was_used(const sl_link *g);
/* Asks for the summary; on_bye comes. */
void sl_link_quit(sl_link *g);
void sl_link_kill(sl_link *g);

#endif
