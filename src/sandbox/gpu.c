/* Owns the knowledge of how GPU drivers name their nodes. Looks at names alone and opens none: to
 * open a node may wake its driver. */
#include "sandbox/gpu.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/num.h"
#include "core/util.h"

#define RENDER_FIRST 128 /* of the kernel's render minors */
#define NUMBER_MAX   9999

struct search {
    const sl_policy *policy;
    sl_strv *granted;
    sl_strv *others;
    uint64_t found; /* numbers that are there */
    bool any;
};

enum kind {
    NOT_A_GPU,
    NUMBERED,    /* one GPU */
    SHARED,      /* needed beside each numbered one of its kind */
    OF_THE_HOST, /* displays, partitions, all at once: only for "all" */
};

/* The number behind `prefix`, which must be all that follows; -1: another name. */
static int number_behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    uint64_t number;
    bool found =
        strncmp(name, prefix, n) == 0 && sl_num_parse_str(name + n, NUMBER_MAX, &number) == 0;
    return found ? (int)number : -1;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static enum kind kind_in_dev(const char *name, int *ret_number)
{
    static const char *const shared[] = {"nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "kfd"};
    *ret_number = number_behind(name, "nvidia");
    if (*ret_number >= 0) {
        return NUMBERED;
    }
    if (is_one_of(name, shared, SL_ARRAY_LEN(shared))) {
        return SHARED;
    }
    /* modeset, caps/, nvswitch; dxg is the one node of a virtual machine on Windows */
    return strncmp(name, "nvidia-", 7) == 0 || strcmp(name, "dxg") == 0 ? OF_THE_HOST : NOT_A_GPU;
}

static enum kind kind_in_dri(const char *name, int *ret_number)
{
    *ret_number = number_behind(name, "renderD");
    if (*ret_number >= RENDER_FIRST) {
        *ret_number -= RENDER_FIRST;
        return NUMBERED;
    }
    return number_behind(name, "card") >= 0 || number_behind(name, "controlD") >= 0 ? OF_THE_HOST
                                                                                    : NOT_A_GPU;
}

static int sort_node(struct search *s, const char *dir, const char *name, enum kind kind,
                     int number)
{
    char *path = NULL;
    bool known = kind == NUMBERED && number < SL_POLICY_GPUS_MAX;
    bool named = known && (s->policy->gpu_mask >> number & 1) != 0;
    if (s->granted->count + s->others->count >= SL_GPU_NODES_MAX) {
        return -E2BIG;
    }
    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        return -ENOMEM;
    }
    s->found |= known ? (uint64_t)1 << number : 0;
    s->any = true;
    /* Shared nodes show no GPU without its own node. */
    bool grant = s->policy->gpu_all || named || kind == SHARED;
    return sl_strv_take(grant ? s->granted : s->others, path);
}

static int search_dir(struct search *s, const char *path,
                      enum kind (*kind_of)(const char *name, int *ret_number))
{
    DIR *dir = opendir(path);
    int r = dir == NULL && errno != ENOENT ? -errno : 0; /* what is not seen cannot be denied */
    for (struct dirent *entry; r == 0 && dir != NULL && (entry = readdir(dir)) != NULL;) {
        int number = -1;
        enum kind kind = kind_of(entry->d_name, &number);
        if (kind != NOT_A_GPU && entry->d_type != DT_LNK) {
            r = sort_node(s, path, entry->d_name, kind, number);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return r;
}

int sl_gpu_nodes(const sl_policy *policy, const char *dev, sl_strv *ret_granted,
                 sl_strv *ret_others, sl_error *err)
{
    struct search s = {.policy = policy, .granted = ret_granted, .others = ret_others};
    sl_autofree char *dri = NULL;
    if (asprintf(&dri, "%s/dri", dev) < 0) {
        dri = NULL;
        return sl_error_set(err, ENOMEM, "not enough memory");
    }
    int r = search_dir(&s, dev, kind_in_dev);
    r = r < 0 ? r : search_dir(&s, dri, kind_in_dri);
    if (r < 0) {
        return sl_error_set(err, -r, "cannot list the GPUs in '%s': %s", dev, strerror(-r));
    }
    if (policy->gpu_all && !s.any) {
        return sl_error_set(err, ENOENT, "--gpu 'all': there is no GPU in '%s'", dev);
    }
    uint64_t missing = policy->gpu_mask & ~s.found;
    if (missing != 0) {
        int number = __builtin_ctzll(missing);
        return sl_error_set(err, ENOENT,
                            "--gpu '%d': there is no such GPU ('%s/nvidia%d' or '%s/renderD%d')",
                            number, dev, number, dri, RENDER_FIRST + number);
    }
    return 0;
}
