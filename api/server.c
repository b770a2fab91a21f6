/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/listen.h"
#include "api/server_impl.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/thread.h"

/* How often deadlines are looked at, and how long a loop sleeps at most. */
#define SWEEP_MS 250

/* How long an I/O thread rests that has no file left for a new connection. */
#define REST_MS 20

/* What libmicrohttpd's pool of a connection holds beside the head: its list of headers and the reply's head. */
#define POOL_EXTRA 4096

/* Nice value of password hashing, so that a storm of logins leaves the cores to everything else. */
#define HASH_NICE 10

/* Logins that may wait for one hashing thread: some seconds of its work; behind them a client has given up. */
#define HASH_QUEUE 64
/* Workers that wait for storage: for each core, and in all, where two for each core are not more. */
#define DB_THREADS_PER_CORE 16
#define DB_THREADS_MAX 32

const struct server_config server_defaults = {
    .listen = ":8080",
    .internal_listen = "127.0.0.1:8081",
    .queue_max = 1024,
    .connections_max = 8192,
    .header_max = 16 * 1024, /* libmicrohttpd clears as much after every request, and keeps it for every connection */
    .inflight_max = 64 * 1024 * 1024,
    .header_timeout_ms = 10000,
    .body_timeout_ms = 30000,
    .idle_timeout_ms = 120000, /* longer than proxies keep theirs, so that they close first: nginx 60 s, Traefik 90 s */
    .stop_timeout_ms = 8000,   /* docker stop kills after 10 s */
};

static int64_t now_ms(void)
{
    return clock_mono_ns() / 1000000; /* not clock_mono_ms(), which tests stop */
}

/* The I/O thread */

static void run_doors(struct io *io)
{
    for (size_t i = 0; i < LISTENERS; i++)
        if (io->door[i].daemon != NULL)
            MHD_run(io->door[i].daemon);
}

/* What to wait for, and how long. A door that has work left over is due at once. */
static int prepare(const struct io *io, struct pollfd *ready, bool *is_due)
{
    int64_t ms = io->sweep_ms - now_ms();
    for (size_t i = 0; i < LISTENERS; i++) {
        struct MHD_Daemon *daemon = io->door[i].daemon;
        MHD_UNSIGNED_LONG_LONG own = SWEEP_MS;
        ready[i] = (struct pollfd){.fd = -1, .events = POLLIN};
        if (daemon == NULL)
            continue;
        ready[i].fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
        is_due[i] = MHD_get_timeout(daemon, &own) == MHD_YES && own == 0;
        if (is_due[i])
            ms = 0;
    }
    ready[LISTENERS] = (struct pollfd){.fd = io->wake_fd, .events = POLLIN};
    return ms > 0 ? (int)ms : 0;
}

/* Without a free file, accept() fails and is tried again at once, for ever: slow that down. */
static void rest_when_starved(struct io *io)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    int cause = errno;
    bool was_starved = io->is_starved;
    io->is_starved = fd < 0;
    io->is_troubled = false;
    if (fd >= 0) {
        close(fd);
        return;
    }
    if (!was_starved)
        log_warn("no free files: new connections wait", LOG_STR("cause", strerror(cause)));
    poll(NULL, 0, REST_MS);
}

/* Whoever wakes has done before what it wakes for, so it is found in this turn, also when its write comes later. */
static bool look_for_wakes(struct io *io, bool is_written)
{
    uint64_t wakes;
    bool was_read = is_written && read(io->wake_fd, &wakes, sizeof wakes) > 0;
    return atomic_exchange(&io->is_woken, false) || was_read;
}

/*
 * Everything is run when a worker is done and at each sweep; else a door where nothing happened is left alone,
 * which saves its epoll_wait().
 */
static void turn(struct io *io)
{
    struct pollfd ready[LISTENERS + 1];
    bool is_due[LISTENERS] = {false};
    poll(ready, LISTENERS + 1, prepare(io, ready, is_due));
    io->now_ms = now_ms();
    bool is_sweep = io->now_ms >= io->sweep_ms;
    bool is_woken = look_for_wakes(io, ready[LISTENERS].revents != 0);
    for (size_t i = 0; i < LISTENERS; i++)
        if (io->door[i].daemon != NULL && (is_sweep || is_woken || is_due[i] || ready[i].revents != 0))
            MHD_run(io->door[i].daemon);
    if (io->is_troubled)
        rest_when_starved(io);
    if (!is_sweep)
        return;
    deadline_sweep(&io->deadlines, io->now_ms);
    io->sweep_ms = io->now_ms + SWEEP_MS;
}

/* Accept no more, and let go who has no request under way. What had come in before is answered. */
static void quiet(struct io *io)
{
    for (size_t i = 0; i < LISTENERS; i++) {
        if (io->door[i].daemon == NULL)
            continue;
        int fd = MHD_quiesce_daemon(io->door[i].daemon);
        if (fd >= 0)
            close(fd);
    }
    run_doors(io);
    deadline_drop_idle(&io->deadlines);
    run_doors(io);
    io->is_quiet = true;
}

static bool is_finished(struct io *io)
{
    int64_t stop_ms = atomic_load(&io->server->stop_ms);
    if (stop_ms == 0)
        return false;
    if (!io->is_quiet)
        quiet(io);
    return io->requests == 0 || io->now_ms >= stop_ms;
}

static void *io_main(void *arg)
{
    struct io *io = arg;
    while (!is_finished(io))
        turn(io);
    return NULL;
}

/* Start and stop */

static unsigned cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

/* Open a listener, and its door on each I/O thread. */
static enum err open_listener(struct server *server, size_t which, const char *address)
{
    if (address == NULL || address[0] == '\0')
        return ERR_OK;
    int *fds = mem_calloc(server->threads, sizeof *fds);
    struct listener *listener = &server->listener[which];
    enum err e = listen_open(address, server->threads, fds, &listener->port);
    for (unsigned i = 0; e == ERR_OK && i < server->threads; i++) {
        struct door *door = &server->io[i].door[which];
        door->io = &server->io[i];
        door->listener = listener;
        door->daemon = conn_listen(door, fds[i]);
        if (door->daemon != NULL)
            continue;
        log_error("libmicrohttpd does not start", LOG_STR("address", address));
        for (; i < server->threads; i++)
            close(fds[i]);
        e = ERR_INTERNAL;
    }
    free(fds);
    return e;
}

unsigned server_db_threads(unsigned wanted)
{
    unsigned most = cores() > DB_THREADS_MAX / 2 ? 2 * cores() : DB_THREADS_MAX;
    unsigned fit = DB_THREADS_PER_CORE * cores();
    if (wanted != 0)
        return wanted;
    return fit < most ? fit : most;
}

static enum err open_lanes(struct server *server)
{
    const struct server_config *config = &server->config;
    unsigned db = server_db_threads(config->db_threads);
    unsigned hash = config->hash_threads != 0 ? config->hash_threads : cores();
    server->lanes[LANE_DB] = lane_new("db", db, config->queue_max, 0);
    unsigned hash_queue = hash * HASH_QUEUE < config->queue_max ? hash * HASH_QUEUE : config->queue_max;
    server->lanes[LANE_HASH] = lane_new("hash", hash, hash_queue, HASH_NICE);
    return server->lanes[LANE_DB] != NULL && server->lanes[LANE_HASH] != NULL ? ERR_OK : ERR_INTERNAL;
}

static enum err start_threads(struct server *server)
{
    for (unsigned i = 0; i < server->threads; i++) {
        char name[16];
        snprintf(name, sizeof name, "io-%u", i);
        TRY(thread_start(&server->io[i].thread, name, io_main, &server->io[i]));
        server->io[i].is_running = true;
    }
    return ERR_OK;
}

static struct server *server_new(const struct server_config *config, struct service *service)
{
    bool has_internal = config->internal_listen != NULL && config->internal_listen[0] != '\0';
    struct server *server = mem_calloc(1, sizeof *server);
    server->config = *config;
    server->service = service;
    server->threads = config->threads != 0 ? config->threads : cores();
    server->io = mem_calloc(server->threads, sizeof *server->io);
    server->bodies.max = config->inflight_max;
    server->pool_size = config->header_max + POOL_EXTRA;
    server->is_in_place = strcmp(MHD_get_version(), "0.9.75") == 0;
    unsigned max = listen_affordable(config->connections_max, has_internal ? 2 : 1);
    for (size_t i = 0; i < LISTENERS; i++)
        server->listener[i] = (struct listener){.max = max, .is_internal = i == LISTEN_INTERNAL};
    for (unsigned i = 0; i < server->threads; i++) {
        server->io[i].server = server;
        server->io[i].wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    return server;
}

enum err server_start(const struct server_config *config, struct service *service, struct server **out)
{
    AUTO(server_stop) struct server *server = server_new(config, service);
    TRY(open_listener(server, LISTEN_PUBLIC, config->listen));
    TRY(open_listener(server, LISTEN_INTERNAL, config->internal_listen));
    TRY(open_lanes(server));
    TRY(start_threads(server));
    *out = MOVE(server);
    return ERR_OK;
}

int server_port(const struct server *server, bool internal)
{
    return server->listener[internal ? LISTEN_INTERNAL : LISTEN_PUBLIC].port;
}

void server_stop(struct server **server)
{
    struct server *s = *server;
    if (s == NULL)
        return;
    atomic_store(&s->stop_ms, now_ms() + s->config.stop_timeout_ms);
    for (unsigned i = 0; i < s->threads; i++)
        conn_wake(&s->io[i]);
    for (unsigned i = 0; i < s->threads; i++)
        if (s->io[i].is_running)
            pthread_join(s->io[i].thread, NULL);
    /* The workers come first: libmicrohttpd does not stop while a connection is suspended. */
    for (size_t i = 0; i < LANES; i++)
        lane_free(&s->lanes[i]);
    for (unsigned i = 0; i < s->threads; i++) {
        for (size_t k = 0; k < LISTENERS; k++)
            if (s->io[i].door[k].daemon != NULL)
                MHD_stop_daemon(s->io[i].door[k].daemon);
        close(s->io[i].wake_fd);
    }
    free(s->io);
    free(s);
    *server = NULL;
}
