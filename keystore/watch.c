/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "keystore/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/mem.h"

#define EVENTS                                                                                                         \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

struct watch {
    char *dir;
    void (*changed)(void *arg);
    void *arg;
    int events; /* inotify; -1: there is none, and only the poll remains */
    int id;     /* of the directory in it; -1: not watched */
    int kicks;  /* eventfd: many kicks are read as one */
    atomic_bool is_stopping;
    pthread_t thread;
};

/*
 * Ask for the directory again before each call: the answer is the same id while the path leads to the same directory,
 * and another one after it was replaced, moved, unmounted or made anew. So the events themselves need not be read for
 * what they say.
 */
static void follow_directory(struct watch *watch)
{
    if (watch->events < 0)
        return;
    int id = inotify_add_watch(watch->events, watch->dir, EVENTS | IN_ONLYDIR);
    if (watch->id >= 0 && watch->id != id)
        inotify_rm_watch(watch->events, watch->id);
    watch->id = id;
}

static void drain(int fd)
{
    char buffer[4096];
    if (fd < 0)
        return;
    while (read(fd, buffer, sizeof buffer) > 0)
        ;
}

static void *run(void *arg)
{
    struct watch *watch = arg;
    struct pollfd fds[] = {
        {.fd = watch->events, .events = POLLIN},
        {.fd = watch->kicks, .events = POLLIN},
    };
    while (true) {
        poll(fds, 2, WATCH_POLL_MS);
        drain(watch->events);
        drain(watch->kicks);
        if (watch->is_stopping)
            return NULL;
        follow_directory(watch);
        watch->changed(watch->arg);
    }
}

/* Signals are for the main thread. */
static bool start_thread(struct watch *watch)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool is_started = pthread_create(&watch->thread, NULL, run, watch) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (is_started)
        pthread_setname_np(watch->thread, "keywatch");
    return is_started;
}

static void release(struct watch **watch)
{
    if (*watch == NULL)
        return;
    if ((*watch)->events >= 0)
        close((*watch)->events);
    if ((*watch)->kicks >= 0)
        close((*watch)->kicks);
    mem_free(&(*watch)->dir);
    free(*watch);
    *watch = NULL;
}

enum err watch_start(const char *dir, void (*changed)(void *arg), void *arg, struct watch **out)
{
    AUTO(release) struct watch *watch = mem_calloc(1, sizeof *watch);
    watch->dir = mem_strdup(dir);
    watch->changed = changed;
    watch->arg = arg;
    watch->id = -1;
    watch->events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    watch->kicks = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (watch->kicks < 0)
        return ERR_INTERNAL;
    follow_directory(watch);
    watch_kick(watch); /* for what changed between the caller's last look and now */
    if (!start_thread(watch))
        return ERR_INTERNAL;
    *out = MOVE(watch);
    return ERR_OK;
}

void watch_kick(struct watch *watch)
{
    int before = errno;
    uint64_t one = 1;
    /* it can only fail when 2^64-2 kicks wait already */
    (void)!write(watch->kicks, &one, sizeof one);
    errno = before;
}

void watch_stop(struct watch **watch)
{
    if (*watch == NULL)
        return;
    (*watch)->is_stopping = true;
    watch_kick(*watch);
    pthread_join((*watch)->thread, NULL);
    release(watch);
}
