/* Owns the looking at an execve: the program, and what the kernel opens to start it, which is no
 * call of anybody's. A program's beginning is read from disk, by the worker: the dispatcher never
 * waits for one. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/util.h"
#include "features/explain/explain_int.h"
#include "kernel/proc.h"
#include "supervisor/worker.h"

#define HEAD_MAX     256 /* of a script, as the kernel reads it (execve(2)) */
#define CHAIN_MAX    5   /* scripts whose interpreter is a script (execve(2)) */
#define SEGMENTS_MAX 64

struct program {
    sl_job job;
    int fd; /* owned */
};

/* execve(2): "#!interpreter [optional-arg]" */
static bool read_script(const char *head, size_t len, char ret_path[PATH_MAX])
{
    if (len < 2 || head[0] != '#' || head[1] != '!') {
        return false;
    }
    size_t at = 2;
    while (at < len && (head[at] == ' ' || head[at] == '\t')) {
        at++;
    }
    size_t end = at;
    while (end < len && strchr(" \t\n", head[end]) == NULL) { /* NUL ends it as well */
        end++;
    }
    memcpy(ret_path, head + at, end - at);
    ret_path[end - at] = '\0';
    return true;
}

/* elf(5): the segment PT_INTERP. */
static bool read_elf(int fd, const char *head, size_t len, char ret_path[PATH_MAX])
{
    Elf64_Ehdr elf;
    Elf64_Phdr segment;
    if (len < sizeof(elf) || memcmp(head, ELFMAG, SELFMAG) != 0 || head[EI_CLASS] != ELFCLASS64) {
        return false;
    }
    memcpy(&elf, head, sizeof(elf));
    for (size_t i = 0; i < elf.e_phnum && i < SEGMENTS_MAX; i++) {
        off_t at = (off_t)(elf.e_phoff + i * sizeof(segment));
        if (pread(fd, &segment, sizeof(segment), at) != (ssize_t)sizeof(segment)) {
            return false;
        }
        if (segment.p_type == PT_INTERP && segment.p_filesz < PATH_MAX) {
            ssize_t n = pread(fd, ret_path, segment.p_filesz, (off_t)segment.p_offset);
            ret_path[n < 0 ? 0 : n] = '\0';
            return n > 0;
        }
    }
    return false;
}

/* The program that the kernel starts for this one, as O_PATH. -errno: none, or it cannot be told.
 */
static int open_interpreter(int program)
{
    char head[HEAD_MAX];
    char path[PATH_MAX];
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
    sl_autoclose int fd = sl_proc_reopen(program, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
    if (n <= 0 || (!read_script(head, (size_t)n, path) && !read_elf(fd, head, (size_t)n, path)) ||
        path[0] != '/') {
        return -ENOEXEC;
    }
    return (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
}

static bool is_file(int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static sl_answer perform(sl_job *job)
{
    struct program *p = (struct program *)job;
    for (int i = 0; i < CHAIN_MAX && is_file(p->fd); i++) {
        sl_explain_use(&job->call, p->fd, X_OK);
        int next = open_interpreter(p->fd);
        sl_close(p->fd);
        p->fd = next;
    }
    return SL_ANSWER_PASS;
}

static void free_job(sl_job *job)
{
    struct program *p = (struct program *)job;
    sl_close(p->fd);
    free(p);
}

sl_answer sl_explain_program(const sl_call *call, int fd)
{
    struct program *p = is_file(fd) ? malloc(sizeof(*p)) : NULL;
    if (p == NULL) {
        sl_close(fd);
        return SL_ANSWER_PASS;
    }
    *p = (struct program){.job = {.call = *call, .perform = perform, .free = free_job}, .fd = fd};
    sl_answer answer = sl_worker_start(&p->job);
    return answer.kind == SL_DEFER ? answer : SL_ANSWER_PASS; /* too many wait: it goes untold */
}
