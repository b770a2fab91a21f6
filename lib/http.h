/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Calls to other services: one request, one reply, bounded in time and size. Plain HTTP or HTTPS; redirects are replies
 * like any other, proxies of the environment are not used, and nothing but a status, a type and a body comes back.
 * Blocks, so it is for worker threads and commands. Any number of threads may call at the same time.
 */
struct http_request {
    const char *method;         /* "GET" */
    const char *url;            /* http://... or https://... */
    const char *const *headers; /* "Content-Type: application/json" ..., ends with NULL; NULL: none */
    const char *body;           /* NULL: none */
    size_t body_len;
    int64_t timeout_ms; /* from the look-up of the name to the last byte */
    size_t reply_max;   /* bytes of the body that are taken; more is an error */

    /* NULL, or a time of clock_mono_ms() at which it is given up, 0 for never; looked at once a second at least */
    const _Atomic int64_t *give_up_ms;
};

struct http_reply {
    int status;
    char *type; /* Content-Type; NULL: none */
    char *body; /* with a NUL behind it */
    size_t len;
};

/* Room for a message of http_request(). */
#define HTTP_WHY_SIZE 256

/*
 * Send a request and wait for its reply; any status is success. The caller releases the reply.
 *   why  receives, on an error, what happened
 * ERR_HTTP_URL, ERR_HTTP_UNREACHABLE (no connection, or no whole reply), ERR_HTTP_TIMEOUT, ERR_HTTP_TOO_LARGE
 */
enum err http_request(const struct http_request *request, char why[HTTP_WHY_SIZE], struct http_reply *out);
void http_release(struct http_reply *reply);

/* Whether the time of a give_up_ms has come. */
bool http_is_given_up(const _Atomic int64_t *give_up_ms);

#endif
