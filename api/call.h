/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_CALL_H
#define API_CALL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/issuer.h"
#include "lib/err.h"
#include "lib/json_scan.h"
#include "lib/net.h"
#include "lib/rand.h"

struct service;
struct route;

/* The request headers that anything here looks at. */
enum call_header {
    CALL_AUTHORIZATION,
    CALL_COOKIE,
    CALL_CONTENT_TYPE,
    CALL_REQUEST_ID,       /* X-MEN-RequestID */
    CALL_FORWARDED_URI,    /* X-Forwarded-Uri */
    CALL_FORWARDED_METHOD, /* X-Forwarded-Method */
    CALL_FORWARDED_FOR,    /* X-Forwarded-For */
    CALL_FORWARDED_HOST,   /* X-Forwarded-Host */
    CALL_SIGNATURE,        /* X-MEN-Signature */
    CALL_IF_MATCH,
    CALL_IF_NONE_MATCH,
    CALL_USER_AGENT,
    CALL_HEADERS,
};

#define CALL_REPLY_HEADERS_MAX 6
#define CALL_PARAMS_MAX 3

/*
 * One HTTP request and its reply, knowing nothing of sockets. The front (api/server.c, or a test) fills in the request,
 * the router runs it, the front sends the reply and releases the call. Text of the request is borrowed from the front
 * and stays for the life of the call.
 */
struct call {
    /* the request */
    const char *method;
    const char *path;                 /* raw, as it was sent: nothing decoded */
    const char *query;                /* raw, without '?'; "" when there is none */
    const char *header[CALL_HEADERS]; /* NULL when absent */
    const char *body;                 /* NUL-terminated */
    size_t body_len;
    int64_t content_length;     /* -1: none was sent */
    bool is_body_cut;           /* a chunked body went over the limit; body has what fitted */
    bool is_internal;           /* it came in on the internal listener */
    char peer[48];              /* the address at the other end of the connection, "127.0.0.1" */
    char client[NET_TEXT_SIZE]; /* who calls, maybe through proxies; "" until client_address() was asked */
    int64_t start_ns;           /* clock_mono_ns() when its headers were there */

    /* what the router found */
    struct service *service;
    const struct route *route;    /* NULL when none matched */
    char *param[CALL_PARAMS_MAX]; /* what the {names} of the route stand for, in order, decoded; owned */
    struct issuer_token token;    /* who calls: the bearer's token; sub "" for nobody */
    const char *bearer;           /* the credential as sent, borrowed from a header */
    size_t bearer_len;
    bool may_block;  /* false on an I/O thread: storage that would is ERR_WOULD_BLOCK there */
    bool is_pressed; /* many wait for this I/O thread: what takes long gives ERR_WOULD_BLOCK, too */
    void *kept;      /* what call_keep() was given; owned */
    void (*free_kept)(void *kept);
    char request_id[RAND_UUID_SIZE]; /* made here when the request had none */

    /* the reply */
    int status;
    const char *type; /* Content-Type; NULL: none */
    char *reply;      /* owned; NULL: empty */
    size_t reply_len;
    bool close; /* close the connection behind the reply */
    struct {
        const char *name; /* a literal */
        const char *value;
        char *owned; /* the value, or NULL */
    } reply_header[CALL_REPLY_HEADERS_MAX];
    size_t reply_headers;
    char *why; /* text of the error, instead of err_text(); owned */

    /* for the front and the lanes */
    struct call *next;
    void (*done)(struct call *c); /* called on the worker when the reply is ready */
    void *front;
};

/* Free what the call owns; the struct itself is the front's. */
void call_release(struct call *c);

/* For a handler that may give ERR_WOULD_BLOCK: keep what it has worked out for when it is run again. */
void call_keep(struct call *c, void *kept, void (*free_kept)(void *kept));

/* The request's id: the client's, verbatim, or one made at the first call. */
const char *call_request_id(struct call *c);

/* Reply with status and no body. Always ERR_OK, so that a handler can end with it; so do the next two. */
enum err call_empty(struct call *c, int status);

/* Reply with json, in the contract's form (json_wire). */
enum err call_json(struct call *c, int status, const json_t *json);

/* The same with a text that has that form already; takes *text. */
enum err call_json_text(struct call *c, int status, char **text);

/* Reply with text of this Content-Type (a literal); takes *text, which was allocated, and sets it to NULL. */
enum err call_text(struct call *c, int status, const char *type, char **text);

/* Add a reply header; name is a literal, value is copied. */
void call_header(struct call *c, const char *name, const char *value);

/* The same with a value that lives as long as the call: a literal, or text of the request. */
void call_header_as_is(struct call *c, const char *name, const char *value);

/* Fail with e and, instead of its general text, this one. Returns e. */
enum err call_fail(struct call *c, enum err e, const char *format, ...) __attribute__((format(printf, 3, 4)));

/*
 * Make the error reply {"error": text, "request_id": id} (contract/useradm 1.1). A 500 says "internal error" whatever
 * its text; an error without any text has no body. 401s of routes that want a token get WWW-Authenticate from the
 * router, 503 gets Retry-After here; the type of a 429 has no charset.
 */
void call_error(struct call *c, enum err e);

/*
 * The body as a JSON object (json_parse_body). ERR_JSON, with the decoder's text as the reply's: prefix "failed to
 * decode ...: " when prefix is not NULL.
 */
enum err call_body(struct call *c, const char *prefix, json_t **out);

/*
 * The body as JSON text of an object, or null, for what the original reads field by field (lib/json_scan.h).
 *   type  what it calls the object
 * ERR_JSON, as call_body()
 */
enum err call_object(struct call *c, const char *prefix, const char *type, struct json_span *out);

/* A member of body as text, "" when it is absent or null; borrowed. ERR_JSON, as call_body(), when it is no string. */
enum err call_string(struct call *c, const char *prefix, const json_t *body, const char *name, const char **out);

#endif
