/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

/* The kernel's limit, NUL included. */
#define NAME_SIZE 16

enum err thread_start(pthread_t *out, const char *name, void *(*run)(void *), void *arg)
{
    /* A new thread inherits the mask: blocked before it begins, no signal can slip in. */
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int fault = pthread_create(out, NULL, run, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (fault != 0) {
        log_error("cannot start a thread", LOG_STR("name", name), LOG_STR("cause", strerror(fault)));
        return ERR_INTERNAL;
    }
    char shown[NAME_SIZE];
    snprintf(shown, sizeof shown, "%s", name);
    pthread_setname_np(*out, shown);
    return ERR_OK;
}

void thread_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

struct timespec thread_limit(int64_t ms)
{
    struct timespec limit;
    clock_gettime(CLOCK_MONOTONIC, &limit);
    int64_t ns = limit.tv_nsec + ms % 1000 * 1000000;
    limit.tv_sec += ms / 1000 + ns / 1000000000;
    limit.tv_nsec = ns % 1000000000;
    return limit;
}
