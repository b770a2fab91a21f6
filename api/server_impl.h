/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_SERVER_IMPL_H
#define API_SERVER_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/body.h"
#include "api/deadline.h"
#include "api/lane.h"
#include "api/route.h"
#include "api/server.h"

/* What server.c (threads, start, stop) and conn.c (connections and their requests) share; nobody else includes it. */

enum { LISTEN_PUBLIC, LISTEN_INTERNAL, LISTENERS };

struct listener {
    int port; /* 0: not in use */
    bool is_internal;
    unsigned max;
    _Atomic unsigned open; /* connections, of all threads */
};

/* One I/O thread's share of a listener. */
struct door {
    struct MHD_Daemon *daemon; /* NULL: not in use */
    struct io *io;
    struct listener *listener;
};

/* One I/O thread. What has no comment is touched by the thread alone while it runs. */
struct io {
    struct server *server;
    pthread_t thread;
    bool is_running;       /* thread is to be joined: the starter's */
    int wake_fd;           /* eventfd, written by any thread */
    _Atomic bool is_woken; /* and whoever finds this true need not write: the thread has not looked yet */
    struct door door[LISTENERS];
    struct deadline_list deadlines;
    int64_t now_ms;
    int64_t sweep_ms;
    unsigned requests; /* begun and not yet answered */
    bool is_quiet;     /* accepts no more */
    bool is_troubled;  /* libmicrohttpd logged something in this turn */
    bool is_starved;   /* there was no free file in the last turn */
};

struct server {
    struct server_config config;
    struct service *service;
    struct listener listener[LISTENERS];
    struct lane *lanes[LANES];
    struct io *io;
    unsigned threads;
    struct body_budget bodies;
    size_t pool_size;
    bool is_in_place;        /* this libmicrohttpd parses as api/frame.h says */
    _Atomic int64_t stop_ms; /* when a stop gives up waiting; 0: no stop */
};

/*
 * Start a libmicrohttpd daemon for a door: it takes connections from listen_fd, which it owns from then on, reads
 * requests, and has them answered. It runs in the calls that door's I/O thread makes. NULL when it does not start.
 */
struct MHD_Daemon *conn_listen(struct door *door, int listen_fd);

/* End the sleep of an I/O thread, from any thread. */
void conn_wake(struct io *io);

#endif
