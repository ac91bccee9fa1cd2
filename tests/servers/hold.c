/* Owns: named semaphores by which a test decides when a held answer goes on. Never: waits on time.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "server.h"

static struct hold {
    char name[64];
    unsigned count;
} holds[SERVER_HOLDS_MAX];
static size_t hold_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static struct hold *hold_find(const char *name)
{
    for (size_t i = 0; i < hold_count; i++) {
        if (strcmp(holds[i].name, name) == 0) {
            return &holds[i];
        }
    }
    struct hold *hold = &holds[hold_count < SERVER_HOLDS_MAX ? hold_count++ : 0];
    snprintf(hold->name, sizeof(hold->name), "%s", name);
    hold->count = 0;
    return hold;
}

void hold_wait(const char *name)
{
    pthread_mutex_lock(&lock);
    while (hold_find(name)->count == 0) {
        pthread_cond_wait(&changed, &lock);
    }
    hold_find(name)->count--;
    pthread_mutex_unlock(&lock);
}

void hold_release(const char *name)
{
    pthread_mutex_lock(&lock);
    hold_find(name)->count++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}
