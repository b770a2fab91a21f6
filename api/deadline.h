/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_DEADLINE_H
#define API_DEADLINE_H

#include <stdint.h>

/*
 * Absolute deadlines of connections: a client that sends or takes one byte now and then gains no time by it. The
 * list and everything in it belongs to one I/O thread. Times are milliseconds of the caller's monotonic clock.
 */
enum deadline_phase {
    DEADLINE_NONE,    /* the server is at work: no limit */
    DEADLINE_HEADERS, /* request line and headers */
    DEADLINE_BODY,
    DEADLINE_IDLE, /* kept alive, between two requests */
    DEADLINE_REPLY,
};

/* One connection; embedded in it. */
struct deadline {
    struct deadline *prev;
    struct deadline *next;
    int fd; /* borrowed; -1 once it was shut down */
    enum deadline_phase phase;
    int64_t at_ms;
};

struct deadline_list {
    struct deadline *head;
};

/* Put a connection, not limited so far, on the list; the fd must stay open until deadline_remove(). */
void deadline_add(struct deadline_list *list, struct deadline *d, int fd);

void deadline_remove(struct deadline_list *list, struct deadline *d);

/* What the connection waits for now, and until when. */
void deadline_set(struct deadline *d, enum deadline_phase phase, int64_t at_ms);

/* Shut down the sockets whose time is over, and count them; their owner then finds them closed by the peer. */
void deadline_sweep(struct deadline_list *list, int64_t now_ms);

/* Shut down the sockets on which no complete request has come in: those of DEADLINE_HEADERS and DEADLINE_IDLE. */
void deadline_drop_idle(struct deadline_list *list);

#endif
