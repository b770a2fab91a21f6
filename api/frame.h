/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_FRAME_H
#define API_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "api/call.h"

/*
 * Whether a request's head is framed as RFC 9112 has it and cannot be read in two ways: the checks that
 * libmicrohttpd 0.9.75 does not make. Feed it the request line, each header in order, then the end; why then tells
 * the first fault.
 *
 * libmicrohttpd parses in place: it writes NULs over line ends and colons and hands out pointers into its buffer. So
 * where each piece begins tells what stood between them: a bare CR or LF as line end, a NUL byte that hides the rest
 * of a value, a folded line. This is so in 0.9.75, and checked when the caller says that it is.
 */
struct frame {
    bool is_in_place;
    bool is_1_0;
    bool has_length;
    bool has_encoding;
    bool has_host;
    bool has_authorization;
    const char *start; /* of the head */
    size_t size;       /* of the head, with the empty line; 0: not in place */
    const char *next;  /* where the next line must begin */
    const char *why;   /* the first fault, a literal for the client; NULL: none */
};

/* The head's pieces before the headers. */
struct frame_line {
    const char *method;
    const char *target;
    size_t target_len; /* before libmicrohttpd cut it at the '?' */
    const char *version;
    size_t size; /* of the whole head; 0: nothing is taken to be in place */
};

/* Refuse %00 and control characters in the raw target. */
void frame_target(struct frame *f, const char *target);

void frame_begin(struct frame *f, const struct frame_line *line);

/*
 * Check one header, and keep what is looked at: c->header[], the first of its kind (of X-Forwarded-For the last), and
 * c->content_length.
 */
void frame_header(struct frame *f, struct call *c, const char *name, size_t name_len, const char *value,
                  size_t value_len);

/* Check what only shows when all headers are there. */
void frame_end(struct frame *f);

#endif
