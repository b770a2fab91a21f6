/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_SERVER_H
#define API_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/service.h"
#include "lib/err.h"

/*
 * The HTTP/1.1 front: the only code that knows libmicrohttpd. Each I/O thread runs daemons of its own on SO_REUSEPORT
 * sockets in an epoll loop; calls that block go to lanes.
 *
 * Refused with 400 and a closed connection: more than one Content-Length, Transfer-Encoding, Host or Authorization;
 * Content-Length beside Transfer-Encoding; a Transfer-Encoding other than chunked; a header name that is no token; %00
 * in the target; a NUL byte, a bare CR or LF as line end, or a folded line in the head (api/frame.h).
 */
struct server;

struct server_config {
    const char *listen;          /* "host:port", ":8080", "[::1]:0"; port 0 lets the system choose */
    const char *internal_listen; /* "" or NULL: none */
    unsigned threads;            /* I/O threads; 0: one per core */
    unsigned db_threads;         /* of LANE_DB; 0: as server_db_threads() says */
    unsigned hash_threads;       /* workers of LANE_HASH; 0: one per core */
    unsigned queue_max;          /* calls waiting in each lane; fewer where passwords are hashed */
    unsigned connections_max;    /* per listener */
    size_t header_max;           /* bytes of request line and headers */
    int64_t inflight_max;        /* bytes of request bodies in memory, all together */
    int64_t header_timeout_ms;   /* from connection, or first request line, to the end of the headers; absolute */
    int64_t body_timeout_ms;     /* to the end of the body; absolute. The reply has as long to be taken */
    int64_t idle_timeout_ms;     /* kept-alive connection without a request */
    int64_t stop_timeout_ms;     /* what a graceful stop waits for calls in flight */
};

/*
 * How many threads wanted is: itself, or when 0 what suits the machine. They mostly wait for storage, and the more wait
 * together the more commit together; but each may hold a connection.
 */
unsigned server_db_threads(unsigned wanted);

/* Defaults for everything: ":8080", "127.0.0.1:8081" ... */
extern const struct server_config server_defaults;

/*
 * Bind, listen and serve. service is borrowed and must live until the stop.
 * ERR_CONFIG: an address that does not parse or cannot be bound, one line is logged and nothing listens. ERR_INTERNAL
 */
enum err server_start(const struct server_config *config, struct service *service, struct server **out);

/* The port in use; 0 when there is no such listener. */
int server_port(const struct server *server, bool internal);

/* Accept no more, finish what is in flight (stop_timeout_ms at most), close, join all threads. */
void server_stop(struct server **server);

#endif
