/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_WIRE_H
#define TESTS_WIRE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memmem() */
#endif

#include <arpa/inet.h>
#include <check.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/clock.h"

/* A client that says exactly the bytes it is told, for what a well-behaved library would not send. */

/* No wait for the server is longer; reaching it fails the test. */
#define WIRE_PATIENCE_MS 20000

struct wire {
    int fd;
    char buf[65536]; /* received and not yet taken */
    size_t len;
};

struct wire_reply {
    int status; /* 0: the connection ended instead */
    char head[4096];
    char body[8192]; /* its beginning, NUL-terminated */
    size_t body_len; /* all of it */
    bool has_length;
};

static inline int64_t wire_now_ms(void)
{
    return clock_mono_ns() / 1000000;
}

static inline int wire_socket(int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static inline struct wire *wire_open(int port)
{
    struct wire *w = calloc(1, sizeof *w);
    w->fd = wire_socket(port);
    return w;
}

static inline void wire_close(struct wire *w)
{
    close(w->fd);
    free(w);
}

/* Send it all; false when the server has closed. */
static inline bool wire_send_n(struct wire *w, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(w->fd, data, len, MSG_NOSIGNAL);
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static inline bool wire_send(struct wire *w, const char *text)
{
    return wire_send_n(w, text, strlen(text));
}

/* Receive more; false at the end of the connection. */
static inline bool wire_fill(struct wire *w)
{
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    ck_assert_msg(poll(&p, 1, WIRE_PATIENCE_MS) == 1, "no answer, buffer is: %.*s", (int)w->len, w->buf);
    ssize_t n = recv(w->fd, w->buf + w->len, sizeof w->buf - w->len, 0);
    if (n <= 0)
        return false;
    w->len += (size_t)n;
    return true;
}

static inline void wire_drop(struct wire *w, size_t n)
{
    memmove(w->buf, w->buf + n, w->len - n);
    w->len -= n;
}

/* The value of a header in the reply, without the line end; NULL when absent. */
static inline const char *wire_header(const struct wire_reply *r, const char *name)
{
    static _Thread_local char value[1024];
    size_t len = strlen(name);
    for (const char *line = strstr(r->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) != 0 || line[len] != ':')
            continue;
        snprintf(value, sizeof value, "%.*s", (int)strcspn(line + len + 2, "\r"), line + len + 2);
        return value;
    }
    return NULL;
}

/* Receive one reply. has_body is false for the reply to a HEAD. */
static inline struct wire_reply wire_read(struct wire *w, bool has_body)
{
    struct wire_reply r = {0};
    char *end = NULL;
    while ((end = memmem(w->buf, w->len, "\r\n\r\n", 4)) == NULL)
        if (!wire_fill(w))
            return r;
    size_t head_len = (size_t)(end - w->buf) + 4;
    snprintf(r.head, sizeof r.head, "%.*s", (int)head_len, w->buf);
    wire_drop(w, head_len);
    ck_assert_int_eq(sscanf(r.head, "HTTP/1.1 %d", &r.status), 1);
    const char *length = wire_header(&r, "Content-Length");
    r.has_length = length != NULL;
    size_t want = has_body && length != NULL ? strtoul(length, NULL, 10) : 0;
    while (r.body_len < want) {
        if (w->len == 0 && !wire_fill(w)) {
            r.status = 0;
            return r;
        }
        size_t n = w->len < want - r.body_len ? w->len : want - r.body_len;
        for (size_t i = 0; i < n && r.body_len + i < sizeof r.body - 1; i++)
            r.body[r.body_len + i] = w->buf[i];
        r.body_len += n;
        wire_drop(w, n);
    }
    return r;
}

/* Whether the server ends the connection by itself without sending more than what was read. */
static inline bool wire_ends(struct wire *w)
{
    return w->len == 0 && !wire_fill(w);
}

/* Send and read the reply. */
static inline struct wire_reply wire_ask(struct wire *w, const char *request)
{
    wire_send(w, request);
    return wire_read(w, true);
}

/* Send on a new connection, read one reply, and tell whether the server closed behind it. */
static inline struct wire_reply wire_once_n(int port, const char *request, size_t len, bool *is_closed)
{
    struct wire *w = wire_open(port);
    wire_send_n(w, request, len);
    struct wire_reply r = wire_read(w, true);
    if (is_closed != NULL)
        *is_closed = wire_ends(w);
    wire_close(w);
    return r;
}

#endif
