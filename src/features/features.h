/* The features by name, and the list of them all. */
#ifndef SANDLOCK_FEATURES_FEATURES_H
#define SANDLOCK_FEATURES_FEATURES_H

#include "supervisor/feature.h"

/* All features, in the order of the chain. */
extern const sl_feature *const sl_features[];
extern const size_t sl_feature_count;

extern const sl_feature sl_feature_asked;
extern const sl_feature sl_feature_bind;
extern const sl_feature sl_feature_bind_ports;
extern const sl_feature sl_feature_canary;
extern const sl_feature sl_feature_explain;
extern const sl_feature sl_feature_ipc;
extern const sl_feature sl_feature_kmem;
extern const sl_feature sl_feature_leases;
extern const sl_feature sl_feature_metadata;
extern const sl_feature sl_feature_mint;
extern const sl_feature sl_feature_hostname;
extern const sl_feature sl_feature_cpus_shown;
extern const sl_feature sl_feature_memory_shown;
extern const sl_feature sl_feature_pids;
extern const sl_feature sl_feature_buffers;
extern const sl_feature sl_feature_cpu;
extern const sl_feature sl_feature_cpus;
extern const sl_feature sl_feature_cpus_seen;
extern const sl_feature sl_feature_debug;
extern const sl_feature sl_feature_dirs;
extern const sl_feature sl_feature_dirs_opened;
extern const sl_feature sl_feature_image;
extern const sl_feature sl_feature_memory;
extern const sl_feature sl_feature_processes;
extern const sl_feature sl_feature_restart;
extern const sl_feature sl_feature_trust;
extern const sl_feature sl_feature_net;
extern const sl_feature sl_feature_remap;
extern const sl_feature sl_feature_ptys;
extern const sl_feature sl_feature_queues;
extern const sl_feature sl_feature_random;
extern const sl_feature sl_feature_scheduling;
extern const sl_feature sl_feature_signals;
extern const sl_feature sl_feature_sockets;
extern const sl_feature sl_feature_tables;
extern const sl_feature sl_feature_time;
extern const sl_feature sl_feature_truncate;
extern const sl_feature sl_feature_datagrams;
extern const sl_feature sl_feature_unix;
extern const sl_feature sl_feature_unix_connect;
extern const sl_feature sl_feature_unix_sends;
extern const sl_feature sl_feature_watch;

#endif
