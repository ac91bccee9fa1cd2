/* Ownership helpers and small macros. */
#ifndef SANDLOCK_CORE_UTIL_H
#define SANDLOCK_CORE_UTIL_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define SL_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define SL_MIN(a, b)    ((a) < (b) ? (a) : (b))
#define SL_MAX(a, b)    ((a) > (b) ? (a) : (b))
#define SL_UNUSED       __attribute__((unused))

static inline void sl_freep(void *p)
{
    free(*(void **)p);
}

/* Closes a descriptor, keeping errno; -1 is empty, 0 is valid. */
static inline void sl_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
}

static inline void sl_closep(int *fd)
{
    sl_close(*fd);
}

/* A local that owns memory or a descriptor. */
#define sl_autofree  __attribute__((cleanup(sl_freep)))
#define sl_autoclose __attribute__((cleanup(sl_closep)))

/* A local that owns an object of a type with `SL_DEFINE_AUTO(type, free_function)`:
 *     SL_AUTO(sl_policy) p = sl_policy_new();      */
#define SL_AUTO(type) __attribute__((cleanup(type##_autofreep))) type *
#define SL_DEFINE_AUTO(type, free_function)                                                        \
    static inline void type##_autofreep(type **p)                                                  \
    {                                                                                              \
        free_function(*p);                                                                         \
    }                                                                                              \
    struct type##_auto_needs_semicolon

static inline void *sl_steal_ptr(void *p)
{
    void *value = *(void **)p;
    *(void **)p = NULL;
    return value;
}

static inline int sl_steal_fd(int *fd)
{
    int value = *fd;
    *fd = -1;
    return value;
}

/* Hands the owned pointer over: the local becomes NULL. */
#define sl_steal(pp) ((__typeof__(*(pp)))sl_steal_ptr(pp))

#endif
