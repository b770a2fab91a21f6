/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_THREAD_H
#define LIB_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "lib/err.h"

/*
 * Start a thread that gets no signals, so that they all reach the main thread. The caller joins it.
 *   name  for ps and top, "io-0"; at most 15 bytes are shown
 * ERR_INTERNAL: the system has none left, which is logged
 */
enum err thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg);

#endif
