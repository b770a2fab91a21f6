/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include <stdbool.h>

#include "api/call.h"
#include "api/route.h"

/*
 * From a request to its reply, in the contract's order (contract/useradm 1.1): size limit (413), route (404, 405,
 * OPTIONS, trailing slash), identity (401), content type (415, 400), handler. Everything is decided by the table in
 * routes.c.
 */

/*
 * Run as much of the call as can be run without blocking. True: the reply is ready. False: the call waits for the lane
 * in *lane, where router_finish() goes on.
 */
bool router_start(struct call *c, enum lane_id *lane);

/* Run the rest, where blocking is allowed. The reply is ready afterwards. */
void router_finish(struct call *c);

/* Reply 503 with Retry-After: the lane is full. */
void router_refuse(struct call *c);

/* Whether the request is refused before its body is read (413 by Content-Length): the reply is ready then. */
bool router_refuses_size(struct call *c);

/* Write the access log line and count the call, once, when its reply is on the way. */
void router_log(struct call *c);

#endif
