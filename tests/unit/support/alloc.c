/* Owns the failing of allocations: the linker's --wrap sends every call here (CMakeLists.txt). */
#include "alloc.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

static bool armed;
static bool failed;
static unsigned left;

void alloc_fail(unsigned n)
{
    left = n;
    failed = false;
    armed = true;
}

bool alloc_failed(void)
{
    armed = false;
    return failed;
}

static bool fails(void)
{
    if (!armed || left-- > 0) {
        return false;
    }
    armed = false;
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

char *__real_strdup(const char *s);
char *__wrap_strdup(const char *s);
char *__wrap_strdup(const char *s)
{
    return fails() ? NULL : __real_strdup(s);
}

char *__real_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n);
char *__wrap_strndup(const char *s, size_t n)
{
    return fails() ? NULL : __real_strndup(s, n);
}

/* What _FORTIFY_SOURCE makes of it is left alone: those allocations succeed. */
int __wrap_asprintf(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret, const char *fmt, ...)
{
    if (fails()) {
        return -1;
    }
    va_list args;
    va_start(args, fmt);
    int n = vasprintf(ret, fmt, args);
    va_end(args);
    return n;
}
