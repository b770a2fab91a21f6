/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_BATCH_H
#define LIB_BATCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Work that is cheaper together: threads that come while one of them works wait in line, and the first of the line then
 * does the work of all who came meanwhile. A thread that comes alone works at once.
 */

/* How many are served together at most. */
#define BATCH_MAX 64

enum batch_state { BATCH_WAITS, BATCH_TAKEN, BATCH_SERVED, BATCH_LEADS };

/* One who waits: the first member of a caller's own struct, on its stack. */
struct batch_member {
    struct batch_member *next; /* guarded by the batch's lock */
    sem_t word;                /* it leads, or is served; a condition would take twice the system calls */
    _Atomic enum batch_state state;
};

struct batch {
    pthread_mutex_t lock; /* guards what follows */
    struct batch_member *first;
    struct batch_member *last;
    bool is_busy; /* somebody leads */
};

void batch_init(struct batch *batch);
void batch_release(struct batch *batch);

/*
 * Wait in line and be served, or serve those who wait: serve() does the work of n members, in their order, on the
 * thread of one of them, while the others sleep.
 *   wait_ms  how long the member stays in line
 * false: nobody served it in that time, and nobody will
 */
bool batch_run(struct batch *batch, struct batch_member *member, int wait_ms,
               void (*serve)(struct batch_member *const *members, size_t n, void *arg), void *arg);

#endif
