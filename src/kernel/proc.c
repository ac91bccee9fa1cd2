/* Owns the reading of /proc. */
#include "kernel/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/num.h"
#include "core/util.h"

#define STATUS_MAX 4096
#define NAME_ROOM  64

static int name_of(pid_t pid, const char *name, char path[NAME_ROOM])
{
    if (pid <= 0 && pid != SL_PROC_SELF) {
        return -ESRCH;
    }
    int n = pid == SL_PROC_SELF ? snprintf(path, NAME_ROOM, "/proc/self/%s", name)
                                : snprintf(path, NAME_ROOM, "/proc/%d/%s", (int)pid, name);
    return n > 0 && n < NAME_ROOM ? 0 : -ENAMETOOLONG;
}

int sl_proc_open(pid_t pid, const char *name, int flags)
{
    char path[NAME_ROOM];
    int r = name_of(pid, name, path);
    int fd = r < 0 ? -1 : open(path, flags | O_CLOEXEC);
    return fd >= 0 ? fd : r < 0 ? r : -errno;
}

/* The files of a process come whole in one read, as far as there is room. */
static ssize_t read_text(int fd, char *text, size_t cap)
{
    ssize_t n = read(fd, text, cap - 1);
    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? -errno : n;
}

ssize_t sl_proc_read(pid_t pid, const char *name, char *text, size_t cap)
{
    sl_autoclose int fd = sl_proc_open(pid, name, O_RDONLY);
    text[0] = '\0';
    return fd < 0 ? fd : read_text(fd, text, cap);
}

ssize_t sl_proc_read_at(int dir, const char *name, char *text, size_t cap)
{
    sl_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    text[0] = '\0';
    return fd < 0 ? -errno : read_text(fd, text, cap);
}

/* What opening a file of a process says when there is none, and reading it when it has ended. */
static long failure(ssize_t n)
{
    return n == -ENOENT ? -ESRCH : n < 0 ? (long)n : -ENODATA;
}

/* A line of "Field:\tnumber", but for the first line, which is a name. */
static long number_after(const char *text, const char *field)
{
    char line[NAME_ROOM];
    int n = snprintf(line, sizeof(line), "\n%s:", field);
    const char *at = n < 0 || (size_t)n >= sizeof(line) ? NULL : strstr(text, line);
    uint64_t value;
    if (at == NULL) {
        return -ENODATA;
    }
    at += n;
    return sl_num_next(&at, &value) < 0 || value > LONG_MAX ? -ENODATA : (long)value;
}

long sl_proc_status(pid_t pid, const char *field)
{
    char text[STATUS_MAX];
    ssize_t n = sl_proc_read(pid, "status", text, sizeof(text));
    return n <= 0 ? failure(n) : number_after(text, field);
}

void sl_proc_family(pid_t pid, long *ret_tgid, long *ret_parent)
{
    char text[STATUS_MAX];
    ssize_t n = sl_proc_read(pid, "status", text, sizeof(text));
    *ret_tgid = n <= 0 ? failure(n) : number_after(text, "Tgid");
    *ret_parent = n <= 0 ? failure(n) : number_after(text, "PPid");
}

long sl_proc_number(const char *path, const char *field)
{
    char text[STATUS_MAX];
    ssize_t n = sl_proc_read_at(AT_FDCWD, path, text, sizeof(text));
    return n <= 0 ? failure(n) : number_after(text, field);
}

const char *sl_proc_stat_fields(const char *text)
{
    const char *end = strrchr(text, ')');
    return end == NULL || end[1] != ' ' ? NULL : end + 2;
}

static ssize_t read_link(const char *path, char *text, size_t cap)
{
    ssize_t n = readlink(path, text, cap - 1);
    int error = errno;
    text[n > 0 ? n : 0] = '\0';
    return n < 0 ? -error : n;
}

ssize_t sl_proc_link(pid_t pid, const char *name, char *text, size_t cap)
{
    char path[NAME_ROOM];
    int r = name_of(pid, name, path);
    text[0] = '\0';
    return r < 0 ? r : read_link(path, text, cap);
}

void sl_proc_fd_name(int fd, char ret_name[SL_PROC_FD_NAME_MAX])
{
    snprintf(ret_name, SL_PROC_FD_NAME_MAX, "/proc/self/fd/%d", fd);
}

int sl_proc_fd_path(int fd, char ret_path[PATH_MAX])
{
    char name[SL_PROC_FD_NAME_MAX];
    sl_proc_fd_name(fd, name);
    ssize_t n = read_link(name, ret_path, PATH_MAX);
    return n < 0 ? (int)n : ret_path[0] == '/' && n < PATH_MAX - 1 ? 0 : -ENOENT;
}

int sl_proc_reopen(int fd, int flags)
{
    char name[SL_PROC_FD_NAME_MAX];
    sl_proc_fd_name(fd, name);
    int opened = open(name, flags | O_CLOEXEC);
    return opened < 0 ? -errno : opened;
}
