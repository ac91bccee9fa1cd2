/* Owns the machine as num_cpus and max_memory show it: how many processors, how much memory. A
 * view: what holds the tree to it is elsewhere (limits/cpus.c, limits/memory.c), and nothing here
 * is secret. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/fd.h"
#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/limits/limits.h"
#include "features/procfs/machine_text.h"
#include "kernel/proc.h"
#include "kernel/tree.h"
#include "supervisor/listing.h"
#include "supervisor/supervisor.h"
#include "supervisor/vfile.h"

#define CPU_DIR   "/sys/devices/system/cpu"
#define COUNT_MAX 1024 /* processes whose memory is added up */

static bool wants_cpus(const sl_policy *policy)
{
    return policy->num_cpus > 0;
}

static bool wants_memory(const sl_policy *policy)
{
    return policy->max_memory > 0;
}

/* The content of a real file, rewritten, for this reader alone. */
static sl_answer give_text(const sl_call *call, sl_buf *out, int r)
{
    sl_answer answer =
        r < 0 ? SL_ANSWER_PASS : sl_vfile_give_text(call, (const char *)sl_buf_head(out), out->len);
    sl_buf_done(out);
    return answer;
}

/* ---- processors ---- */

static unsigned core_of(const void *arg, unsigned i)
{
    return sl_cpus_core(arg, i);
}

static sl_answer handle_cpu_open(sl_call *call)
{
    static const char *const files[] = {"/proc/cpuinfo", "/proc/stat", CPU_DIR "/online",
                                        CPU_DIR "/possible", CPU_DIR "/present"};
    size_t which = sl_vfile_which(call, files, SL_ARRAY_LEN(files));
    if (which == SL_ARRAY_LEN(files)) {
        return SL_ANSWER_PASS;
    }
    sl_machine_cores cores = {call->sv->policy->num_cpus, core_of, call->sv};
    sl_autofree char *real = NULL;
    size_t len;
    sl_buf out;
    sl_buf_init(&out, SL_MACHINE_TEXT_MAX);
    int r = sl_fd_read_file(files[which], SL_MACHINE_TEXT_MAX, &real, &len);
    if (r == 0 && which == 0) {
        r = sl_machine_cpuinfo(real, &cores, &out);
    } else if (r == 0 && which == 1) {
        r = sl_machine_stat(real, &cores, &out);
    } else if (r == 0) {
        r = cores.shown == 1 ? sl_buf_append_str(&out, "0\n")
                             : sl_buf_printf(&out, "0-%u\n", cores.shown - 1);
    }
    return give_text(call, &out, r);
}

/* "cpuN" with N that is shown, and whatever else lies there. */
static bool keep_shown(const char *name, const void *arg)
{
    const unsigned *shown = arg;
    if (strncmp(name, "cpu", 3) != 0 || name[3] < '0' || name[3] > '9') {
        return true;
    }
    return sl_num_after(name, "cpu", UINT64_MAX) < *shown;
}

static sl_answer handle_getdents(sl_call *call)
{
    char path[PATH_MAX];
    unsigned shown = call->sv->policy->num_cpus;
    sl_autoclose int fd = sl_listing_pin(call, (int)call->args[0]);
    if (fd < 0 || sl_proc_fd_path(fd, path) < 0 || strcmp(path, CPU_DIR) != 0) {
        return SL_ANSWER_PASS;
    }
    return sl_listing_answer(call, fd, keep_shown, &shown);
}

/* ---- memory ---- */

/* What the processes of the tree have to themselves, as far as statm tells: for the eye. */
static uint64_t used_memory(const sl_supervisor *sv)
{
    char text[128];
    uint64_t pages = 0;
    sl_autofree pid_t *list = malloc(COUNT_MAX * sizeof(*list));
    size_t count = list == NULL ? 0 : sl_tree_list(sv->helper_pid, list, COUNT_MAX);
    for (size_t i = 0; i < count; i++) {
        const char *at = text;
        uint64_t size;
        uint64_t resident;
        uint64_t shared;
        bool all = sl_proc_read(list[i], "statm", text, sizeof(text)) > 0 &&
                   sl_num_next(&at, &size) == 0 && sl_num_next(&at, &resident) == 0 &&
                   sl_num_next(&at, &shared) == 0;
        pages += all && resident > shared ? resident - shared : 0;
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t shown_memory(const sl_supervisor *sv)
{
    struct sysinfo info;
    uint64_t limit = sv->policy->max_memory;
    return sysinfo(&info) < 0 ? limit : SL_MIN(limit, (uint64_t)info.totalram * info.mem_unit);
}

static sl_answer handle_memory_open(sl_call *call)
{
    if (!sl_vfile_means(call, "/proc/meminfo")) {
        return SL_ANSWER_PASS;
    }
    sl_autofree char *real = NULL;
    size_t len;
    sl_buf out;
    sl_buf_init(&out, SL_MACHINE_TEXT_MAX);
    int r = sl_fd_read_file("/proc/meminfo", SL_MACHINE_TEXT_MAX, &real, &len);
    if (r == 0) {
        r = sl_machine_meminfo(real, shown_memory(call->sv), used_memory(call->sv), &out);
    }
    return give_text(call, &out, r);
}

static sl_answer handle_sysinfo(sl_call *call)
{
    struct sysinfo info;
    memset(&info, 0, sizeof(info));
    if (sysinfo(&info) < 0) {
        return SL_ANSWER_VALUE(-errno);
    }
    uint64_t total = shown_memory(call->sv);
    uint64_t used = SL_MIN(used_memory(call->sv), total);
    info.mem_unit = 1;
    info.totalram = total;
    info.freeram = total - used;
    info.sharedram = 0;
    info.bufferram = 0;
    info.totalswap = 0;
    info.freeswap = 0;
    info.totalhigh = 0;
    info.freehigh = 0;
    return SL_ANSWER_VALUE(sl_call_write(call, call->args[0], &info, sizeof(info)));
}

static const sl_syscall_row cpu_rows[] = {
    SL_VFILE_ROWS(handle_cpu_open),
    {.nr = SYS_getdents64, .flags = SL_ROW_MAY_CONTINUE, .handler = handle_getdents},
};

static const sl_syscall_row memory_rows[] = {
    SL_VFILE_ROWS(handle_memory_open),
    {.nr = SYS_sysinfo, .handler = handle_sysinfo},
};

const sl_feature sl_feature_cpus_shown = {
    .name = "cpus_shown",
    .wanted = wants_cpus,
    .writes = wants_cpus,
    .option = "--num-cpus",
    .rows = cpu_rows,
    .row_count = SL_ARRAY_LEN(cpu_rows),
};

const sl_feature sl_feature_memory_shown = {
    .name = "memory_shown",
    .wanted = wants_memory,
    .writes = wants_memory,
    .option = "--max-memory",
    .rows = memory_rows,
    .row_count = SL_ARRAY_LEN(memory_rows),
};
