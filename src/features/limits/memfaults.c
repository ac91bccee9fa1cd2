/* Owns the counting of page faults. The kernel counts each that it resolves, also those that it
 * makes itself to fill a range (mlock(2), MAP_POPULATE), for whoever caused it. */
#include "features/limits/memfaults.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"
#include "kernel/proc.h"

#define HUGE_PAGES "/sys/kernel/mm/transparent_hugepage"
#define HUGE_SIZE  ((uint64_t)2 << 20) /* where the machine does not say */

static bool read_text(const char *path, char *text, size_t cap)
{
    sl_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* Pages between an ordinary and a huge one are no part of the machine's counter. */
static uint64_t largest_between(uint64_t page_size, uint64_t huge_size)
{
    char path[300];
    char text[128];
    uint64_t largest = page_size;
    DIR *dir = opendir(HUGE_PAGES);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        unsigned long long kb;
        snprintf(path, sizeof(path), HUGE_PAGES "/%s/enabled", e->d_name);
        if (sscanf(e->d_name, "hugepages-%llukB", &kb) == 1 && kb * 1024 != huge_size &&
            !(read_text(path, text, sizeof(text)) && strstr(text, "[never]") != NULL)) {
            largest = SL_MAX(largest, kb * 1024);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return largest;
}

void sl_memfaults_init(sl_memfaults *f)
{
    char text[64];
    uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    f->vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
    bool known = f->vmstat >= 0 && read_text(HUGE_PAGES "/hpage_pmd_size", text, sizeof(text));
    f->huge_size = known ? sl_num_after(text, "", HUGE_SIZE) : HUGE_SIZE;
    f->page_size = known ? largest_between(page_size, f->huge_size) : HUGE_SIZE;
}

void sl_memfaults_done(sl_memfaults *f)
{
    sl_close(f->vmstat);
    f->vmstat = -1;
}

uint64_t sl_memfaults_count(pid_t pid)
{
    char text[512];
    unsigned long long own = 0;
    unsigned long long of_children = 0;
    unsigned long long major = 0;
    unsigned long long major_of_children = 0;
    (void)sl_proc_read(pid, "stat", text, sizeof(text));
    const char *fields = sl_proc_stat_fields(text);
    if (fields == NULL || /* state ppid pgrp session tty_nr tpgid flags */
        sscanf(fields, "%*c %*d %*d %*d %*d %*d %*u %llu %llu %llu %llu", &own, &of_children,
               &major, &major_of_children) != 4) {
        return 0;
    }
    return own + of_children + major + major_of_children;
}

uint64_t sl_memfaults_huge(const sl_memfaults *f)
{
    char text[16384];
    size_t len = 0;
    ssize_t n;
    while (f->vmstat >= 0 && len < sizeof(text) - 1 && /* a page at a time */
           (n = pread(f->vmstat, text + len, sizeof(text) - 1 - len, (off_t)len)) > 0) {
        len += (size_t)n;
    }
    text[len] = '\0';
    return sl_num_after(text, "\nthp_fault_alloc ", 0) +
           sl_num_after(text, "\nthp_collapse_alloc ", 0);
}
