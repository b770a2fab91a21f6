/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/frame.h"
#include "api/listen.h"
#include "api/router.h"
#include "api/server_impl.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"

METRICS_GAUGE(connections, "mintd_connections", "", "Open connections.");
METRICS_COUNTER(refused_limit, "mintd_connections_refused_total", "reason=\"limit\"",
                "Connections closed at once because there were too many.");

/* When a turn of an I/O thread has lasted for so long, others have waited enough for it. */
#define TURN_LONG_MS 2

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
    call_header_as_is(c, "X-Men-Requestid", call_request_id(c));
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
    struct io *io = conn->door->io;
    MHD_resume_connection(conn->connection);
    conn_wake(io);
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
    c->is_pressed = c->start_ns / 1000000 - conn->door->io->now_ms >= TURN_LONG_MS;
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

struct MHD_Daemon *conn_listen(struct door *door, int listen_fd)
{
    const struct server *server = door->io->server;
    const struct server_config *config = &server->config;
    int64_t longest_ms = config->header_timeout_ms + config->body_timeout_ms + config->idle_timeout_ms;
    /* clang-format off */
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
                            on_accept, door, on_request, door,
                            MHD_OPTION_EXTERNAL_LOGGER, on_log, door,
                            MHD_OPTION_LISTEN_SOCKET, listen_fd,
                            MHD_OPTION_URI_LOG_CALLBACK, on_target, door,
                            MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection, door,
                            MHD_OPTION_NOTIFY_COMPLETED, on_completed, door,
                            MHD_OPTION_CONNECTION_LIMIT, door->listener->max + 1,
                            MHD_OPTION_CONNECTION_MEMORY_LIMIT, server->pool_size,
                            MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(longest_ms / 1000 + 1),
                            MHD_OPTION_STRICT_FOR_CLIENT, 1,
                            MHD_OPTION_END);
    /* clang-format on */
}

void conn_wake(struct io *io)
{
    uint64_t one = 1;
    if (atomic_exchange(&io->is_woken, true))
        return;
    ssize_t n = write(io->wake_fd, &one, sizeof one);
    (void)n; /* it can only fail when the counter is full, and then the loop is awake */
}
