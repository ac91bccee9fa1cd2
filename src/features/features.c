/* The list of features, in the order of the chain. Adding one is adding a folder and a line here.
 * Whoever remembers a socket of the tree comes before whoever answers for it; whoever takes names
 * out of a directory comes before whoever orders them, who tells of grants before who tells of
 * files, and the tree's own ports before the rules of the network; whoever makes what nobody else
 * has made, last, and behind them who tells of what is left to the kernel. */
#include "features/features.h"

const sl_feature *const sl_features[] = {
    &sl_feature_canary,     &sl_feature_processes,    &sl_feature_trust,
    &sl_feature_hostname,   &sl_feature_cpus_shown,   &sl_feature_memory_shown,
    &sl_feature_asked,      &sl_feature_pids,         &sl_feature_sockets,
    &sl_feature_mint,       &sl_feature_unix,         &sl_feature_remap,
    &sl_feature_net,        &sl_feature_bind,         &sl_feature_datagrams,
    &sl_feature_unix_sends, &sl_feature_unix_connect, &sl_feature_signals,
    &sl_feature_scheduling, &sl_feature_debug,        &sl_feature_cpus,
    &sl_feature_cpus_seen,  &sl_feature_restart,      &sl_feature_ptys,
    &sl_feature_watch,      &sl_feature_leases,       &sl_feature_metadata,
    &sl_feature_ipc,        &sl_feature_queues,       &sl_feature_image,
    &sl_feature_time,       &sl_feature_random,       &sl_feature_dirs_opened,
    &sl_feature_dirs,       &sl_feature_memory,       &sl_feature_cpu,
    &sl_feature_truncate,   &sl_feature_tables,       &sl_feature_bind_ports,
    &sl_feature_kmem,       &sl_feature_buffers,      &sl_feature_explain,
};

const size_t sl_feature_count = SL_ARRAY_LEN(sl_features);
