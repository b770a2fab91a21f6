/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_ROUTE_H
#define API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "api/call.h"
#include "lib/err.h"

/* Who may call. */
enum access {
    ANYONE,
    BEARER,  /* a person's token: fully verified and alive; with trust_gateway its claims are believed unverified */
    SIGNED,  /* as BEARER, but with trust_gateway this process checks signature and times all the same */
    CHECKED, /* signature and times in every mode; whether it is alive the handler asks itself: the verify endpoint */
    DEVICE,  /* as CHECKED, for a device's token; one that does not verify gets an empty 401 */
};

/* Where a handler runs. A lane that may not block hands over to LANE_DB when the handler returns ERR_WOULD_BLOCK. */
enum lane_id {
    LANE_IO,   /* on the I/O thread; may not block */
    LANE_DB,   /* storage, signatures */
    LANE_HASH, /* password hashing, at lower priority */
    LANES,
};

/* Whose routes: a process may serve one of the two services only. VIEW: of DEVICES, unless an inventory has them. */
enum family { PEOPLE, DEVICES, VIEW, BOTH };

/* Where a route is served. */
enum surface {
    MANAGEMENT, /* the public listener; OPTIONS is answered for these paths */
    INTERNAL,   /* the internal listener only, unless trust_gateway */
    PUBLIC,     /* the public listener; no OPTIONS (JWKS) */
};

struct route {
    const char *method;
    const char *path; /* "{name}" is one segment, the call's next param; "{tid}" and "{did}" may be empty */
    enum family family;
    enum surface surface;
    enum access access;
    enum lane_id lane;
    enum err (*handler)(struct call *c);
};

/* Whether a body that is announced must be announced as JSON (contract/useradm 1.1, "CT"; deviceauth 1.1). */
static inline bool route_wants_json(const struct route *route)
{
    return route->surface == MANAGEMENT && (strcmp(route->method, "POST") == 0 || strcmp(route->method, "PUT") == 0);
}

/* The whole HTTP surface, first match wins; ends with a NULL method. */
extern const struct route routes[];

#endif
