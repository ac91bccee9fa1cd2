/* Owns the starting of threads. */
#include "kernel/thread.h"

#include <stdio.h>
#include <unistd.h>

int sl_thread_start(size_t stack_size, void *(*fn)(void *arg), void *arg, pthread_t *ret_thread)
{
    pthread_attr_t attr;
    pthread_t thread;
    int r = pthread_attr_init(&attr);
    if (r != 0) {
        return -r;
    }
    r = pthread_attr_setstacksize(&attr, stack_size);
    r = r != 0 ? r : pthread_create(&thread, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    if (r == 0) {
        *ret_thread = thread;
    }
    return -r;
}

bool sl_thread_is_ours(long tid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%ld", tid);
    return access(path, F_OK) == 0;
}
