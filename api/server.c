/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/body.h"
#include "api/deadline.h"
#include "api/frame.h"
#include "api/lane.h"
#include "api/listen.h"
#include "api/router.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/thread.h"

/* How often deadlines are looked at, and how long a loop sleeps at most. */
#define SWEEP_MS 250

/* How long an I/O thread rests that has no file left for a new connection. */
#define REST_MS 20

/* What libmicrohttpd's pool of a connection holds beside the head: its list of headers and the reply's head. */
#define POOL_EXTRA 4096

/* Nice value of password hashing, so that a storm of logins leaves the cores to everything else. */
#define HASH_NICE 10

/* Logins that may wait for one hashing thread: some seconds of its work, after which clients would have given up anyway. */
#define HASH_QUEUE 64

METRICS_GAUGE(connections, "mintd_connections", "", "Open connections.");
METRICS_COUNTER(refused_limit, "mintd_connections_refused_total", "reason=\"limit\"",
                "Connections closed at once because there were too many.");

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
    bool is_running; /* thread is to be joined: the starter's */
    int wake_fd;     /* eventfd, written by any thread */
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

/* Where a request is. */
enum stage {
    STAGE_HEAD, /* request line seen */
    STAGE_BODY, /* headers accepted, body coming in */
    STAGE_DONE, /* handed to a lane, or back from it: the reply is due at the next call */
};

/* One connection and the one request that it can have at a time. */
struct conn {
    struct call call;
    struct door *door;
    struct MHD_Connection *connection;
    struct deadline deadline;
    enum stage stage;
    struct frame frame;
    const char *target;
    size_t target_len;
    char *query; /* a copy, since libmicrohttpd takes its own to pieces */
    struct body body;
    char peer[sizeof((struct call *)0)->peer];
};

const struct server_config server_defaults = {
    .listen = ":8080",
    .internal_listen = "127.0.0.1:8081",
    .queue_max = 1024,
    .connections_max = 8192,
    .header_max = 32 * 1024,
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

static void wake(const struct io *io)
{
    uint64_t one = 1;
    ssize_t n = write(io->wake_fd, &one, sizeof one);
    (void)n; /* it can only fail when the counter is full, and then the loop is awake */
}

static bool is_stopping(const struct server *server)
{
    return atomic_load(&server->stop_ms) != 0;
}

/* Replies */

static struct MHD_Response *make_response(struct conn *conn)
{
    struct call *c = &conn->call;
    bool is_empty = c->reply == NULL;
    struct MHD_Response *r = MHD_create_response_from_buffer(c->reply_len, c->reply,
                                                             is_empty ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);
    if (r == NULL)
        return NULL;
    c->reply = NULL;
    if (c->type != NULL)
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, c->type);
    for (size_t i = 0; i < c->reply_headers; i++)
        MHD_add_response_header(r, c->reply_header[i].name, c->reply_header[i].value);
    if (c->close || is_stopping(conn->door->io->server))
        MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
    return r;
}

static enum MHD_Result reply(struct conn *conn)
{
    struct io *io = conn->door->io;
    struct MHD_Response *r = make_response(conn);
    if (r == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(conn->connection, (unsigned)conn->call.status, r);
    MHD_destroy_response(r);
    router_log(&conn->call);
    deadline_set(&conn->deadline, DEADLINE_REPLY, io->now_ms + io->server->config.body_timeout_ms);
    return result;
}

/* Reply at once, without the router, and close behind it. */
static enum MHD_Result refuse(struct conn *conn, enum err e)
{
    struct call *c = &conn->call;
    call_error(c, e);
    call_header(c, "X-Men-Requestid", call_request_id(c));
    c->close = true;
    return reply(conn);
}

/* Requests */

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
                                   const char *value, size_t value_len)
{
    (void)kind;
    struct conn *conn = cls;
    frame_header(&conn->frame, &conn->call, name, name_len, value != NULL ? value : "", value_len);
    return MHD_YES;
}

static size_t head_size(const struct conn *conn)
{
    if (!conn->door->io->server->is_in_place)
        return 0;
    return MHD_get_connection_info(conn->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
}

static void read_head(struct conn *conn, const char *path, const char *method, const char *version)
{
    struct call *c = &conn->call;
    c->method = method;
    c->path = path;
    c->query = conn->query != NULL ? conn->query : "";
    c->body = "";
    c->content_length = -1;
    c->start_ns = clock_mono_ns();
    frame_begin(&conn->frame, &(struct frame_line){.method = method,
                                                   .target = conn->target,
                                                   .target_len = conn->target_len,
                                                   .version = version,
                                                   .size = head_size(conn)});
    MHD_get_connection_values_n(conn->connection, MHD_HEADER_KIND, take_header, conn);
    frame_end(&conn->frame);
}

/* The headers are there. A reply queued here closes the connection, so only refusals are. */
static enum MHD_Result begin(struct conn *conn, const char *path, const char *method, const char *version)
{
    struct server *server = conn->door->io->server;
    struct call *c = &conn->call;
    read_head(conn, path, method, version);
    if (conn->frame.why != NULL)
        return refuse(conn, call_fail(c, ERR_BAD_REQUEST, "%s", conn->frame.why));
    if (router_refuses_size(c))
        return reply(conn);
    /* libmicrohttpd lets a bare LF end a chunk's lines: where a proxy saw another end, nothing behind it is believed */
    c->close = conn->frame.has_encoding;
    if (c->content_length > 0 && !body_fits(&server->bodies, c->content_length))
        return refuse(conn, ERR_BUSY);
    conn->stage = STAGE_BODY;
    deadline_set(&conn->deadline, DEADLINE_BODY, conn->door->io->now_ms + server->config.body_timeout_ms);
    return MHD_YES;
}

/* On a worker. Behind the resume the connection belongs to the I/O thread again, and may be gone. */
static void on_done(struct call *c)
{
    struct conn *conn = c->front;
    const struct io *io = conn->door->io;
    MHD_resume_connection(conn->connection);
    wake(io);
}

static enum MHD_Result hand_over(struct conn *conn, enum lane_id lane)
{
    deadline_set(&conn->deadline, DEADLINE_NONE, 0);
    /* Suspended first: a worker may be done before lane_submit() returns. */
    MHD_suspend_connection(conn->connection);
    if (!lane_submit(conn->door->io->server->lanes[lane], &conn->call)) {
        router_refuse(&conn->call);
        on_done(&conn->call);
    }
    return MHD_YES;
}

/* The body is there. */
static enum MHD_Result run(struct conn *conn)
{
    struct call *c = &conn->call;
    conn->stage = STAGE_DONE;
    if (conn->body.is_refused)
        return refuse(conn, ERR_BUSY);
    if (conn->body.data != NULL)
        c->body = conn->body.data;
    c->body_len = conn->body.len;
    c->is_body_cut = conn->body.is_cut;
    enum lane_id lane = LANE_IO;
    return router_start(c, &lane) ? reply(conn) : hand_over(conn, lane);
}

/* What libmicrohttpd calls, on the I/O thread */

static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    struct door *door = cls;
    struct io *io = door->io;
    struct conn *conn = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    conn->call = (struct call){.service = io->server->service,
                               .is_internal = door->listener->is_internal,
                               .done = on_done,
                               .front = conn};
    memcpy(conn->call.peer, conn->peer, sizeof conn->peer);
    conn->stage = STAGE_HEAD;
    conn->frame = (struct frame){0};
    frame_target(&conn->frame, target);
    conn->target = target;
    conn->target_len = strlen(target);
    const char *query = strchr(target, '?');
    conn->query = query != NULL ? mem_strdup(query + 1) : NULL;
    io->requests++;
    if (conn->deadline.phase == DEADLINE_IDLE)
        deadline_set(&conn->deadline, DEADLINE_HEADERS, io->now_ms + io->server->config.header_timeout_ms);
    return conn;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *path, const char *method,
                                  const char *version, const char *data, size_t *len, void **context)
{
    (void)cls, (void)connection;
    struct conn *conn = *context;
    if (conn->stage == STAGE_HEAD)
        return begin(conn, path, method, version);
    if (conn->stage == STAGE_DONE)
        return reply(conn);
    if (*len == 0)
        return run(conn);
    body_append(&conn->body, &conn->door->io->server->bodies, data, *len, (size_t)conn->call.service->body_max);
    *len = 0;
    return MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode how)
{
    (void)connection, (void)how;
    struct io *io = ((struct door *)cls)->io;
    struct conn *conn = *context;
    if (conn == NULL)
        return;
    call_release(&conn->call);
    mem_free(&conn->query);
    body_release(&conn->body, &io->server->bodies);
    io->requests--;
    deadline_set(&conn->deadline, DEADLINE_IDLE, io->now_ms + io->server->config.idle_timeout_ms);
}

static struct conn *conn_new(struct door *door, struct MHD_Connection *connection)
{
    struct io *io = door->io;
    struct conn *conn = mem_calloc(1, sizeof *conn);
    conn->door = door;
    conn->connection = connection;
    listen_peer(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr, conn->peer,
                sizeof conn->peer);
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    deadline_add(&io->deadlines, &conn->deadline, fd);
    deadline_set(&conn->deadline, DEADLINE_HEADERS, io->now_ms + io->server->config.header_timeout_ms);
    return conn;
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct door *door = cls;
    bool is_new = what == MHD_CONNECTION_NOTIFY_STARTED;
    metrics_add(&connections, is_new ? 1 : -1);
    if (is_new) {
        atomic_fetch_add(&door->listener->open, 1);
        *context = conn_new(door, connection);
        return;
    }
    struct conn *conn = *context;
    atomic_fetch_sub(&door->listener->open, 1);
    deadline_remove(&door->io->deadlines, &conn->deadline);
    free(conn);
}

/* Whether a new connection is let in. */
static enum MHD_Result on_accept(void *cls, const struct sockaddr *address, socklen_t len)
{
    (void)address, (void)len;
    const struct listener *listener = ((struct door *)cls)->listener;
    if (atomic_load(&listener->open) < listener->max)
        return MHD_YES;
    metrics_add(&refused_limit, 1);
    return MHD_NO;
}

/* The path stays as it was sent: %2f is not a separator. */
static size_t keep_escapes(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls, (void)connection;
    return strlen(text);
}

static void on_log(void *cls, const char *format, va_list args)
{
    ((struct door *)cls)->io->is_troubled = true;
    if (!log_enabled(LOG_DEBUG))
        return;
    char text[256];
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("libmicrohttpd", LOG_STR("text", text));
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
    uint64_t wakes;
    bool is_woken = ready[LISTENERS].revents != 0 && read(io->wake_fd, &wakes, sizeof wakes) > 0;
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

static struct MHD_Daemon *start_daemon(struct door *door, int listen_fd)
{
    const struct server *server = door->io->server;
    const struct server_config *config = &server->config;
    int64_t longest = config->header_timeout_ms + config->body_timeout_ms + config->idle_timeout_ms;
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, on_accept, door,
                            on_request, door, MHD_OPTION_EXTERNAL_LOGGER, on_log, door, MHD_OPTION_LISTEN_SOCKET,
                            listen_fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, door, MHD_OPTION_UNESCAPE_CALLBACK,
                            keep_escapes, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, door,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, door, MHD_OPTION_CONNECTION_LIMIT,
                            door->listener->max + 1, MHD_OPTION_CONNECTION_MEMORY_LIMIT, server->pool_size,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(longest / 1000 + 1), MHD_OPTION_STRICT_FOR_CLIENT,
                            1, MHD_OPTION_END);
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
        door->daemon = start_daemon(door, fds[i]);
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

static enum err open_lanes(struct server *server)
{
    const struct server_config *config = &server->config;
    unsigned db = config->db_threads != 0 ? config->db_threads : 4 * cores();
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
        wake(&s->io[i]);
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
