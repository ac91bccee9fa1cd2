/* The one reader of /proc: proc(5). A number stands for a process or a thread; one that cannot be
 * either (0, a failure's -1) is -ESRCH.
 * Whoever trusts what was read of another process confirms afterwards that it is still that one. */
#ifndef SANDLOCK_KERNEL_PROC_H
#define SANDLOCK_KERNEL_PROC_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SL_PROC_SELF        ((pid_t)INT32_MIN) /* this process; nobody's number, and no failure's */
#define SL_PROC_FD_NAME_MAX 32

/* Opens /proc/PID/NAME, close-on-exec. -errno. */
int sl_proc_open(pid_t pid, const char *name, int flags);

/* Reads the beginning of a file, terminated. How many bytes there were, or -errno. */
ssize_t sl_proc_read(pid_t pid, const char *name, char *text, size_t cap);
/* The same of an open directory's entry, "TID/stat". */
ssize_t sl_proc_read_at(int dir, const char *name, char *text, size_t cap);

/* The number behind `field` ("Tgid") in its status file. -ESRCH: nobody has the number `pid`.
 * -ENODATA: no such field, or no number in it. Any other -errno says that it could not be read,
 * which is no word about who has it: whoever judges by it denies. */
long sl_proc_status(pid_t pid, const char *field);
/* The same of another file of such lines; -ESRCH: it is not there. */
long sl_proc_number(const char *path, const char *field);
/* Its thread group and its parent, at one look; -errno as above. */
void sl_proc_family(pid_t pid, long *ret_tgid, long *ret_parent);

/* What is behind the name in the text of a stat file: the state's letter, then the numbers. The
 * name may hold any byte. NULL when it is no such text. */
const char *sl_proc_stat_fields(const char *text);

/* The text of a link, terminated. Its length, or -errno. */
ssize_t sl_proc_link(pid_t pid, const char *name, char *text, size_t cap);

/* "/proc/self/fd/N": a path that leads to the open file of this descriptor of ours. */
void sl_proc_fd_name(int fd, char ret_name[SL_PROC_FD_NAME_MAX]);
/* The kernel's name of an open file: absolute, without links. 0, -ENOENT for what has no path, or
 * -errno. */
int sl_proc_fd_path(int fd, char ret_path[PATH_MAX]);
/* Opens it anew, with an offset of its own. -errno. */
int sl_proc_reopen(int fd, int flags);

#endif
