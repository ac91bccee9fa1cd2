/* Threads of our own, and the one way to start one: with a stack of its own size, which counts
 * where every run has some. pthread_create(3). */
#ifndef SANDLOCK_KERNEL_THREAD_H
#define SANDLOCK_KERNEL_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* Runs fn(arg), to be joined. 0 or -errno. */
int sl_thread_start(size_t stack_size, void *(*fn)(void *arg), void *arg, pthread_t *ret_thread);

/* True if this number is one of this process's threads. */
bool sl_thread_is_ours(long tid);

#endif
