/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lib/err.h"

/*
 * Start a thread that gets no signals, so that they all reach the main thread. The caller joins it.
 *   name  for ps and top, "io-0"; at most 15 bytes are shown
 * ERR_INTERNAL: the system has none left, which is logged
 */
enum err thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg);

/* A condition whose timed waits go by CLOCK_MONOTONIC, as thread_limit() does. */
void thread_cond_init(pthread_cond_t *cond);

/* The end of a wait of ms from now. The kernel wakes, so clock_set() has no say in it. */
struct timespec thread_limit(int64_t ms);

#endif
