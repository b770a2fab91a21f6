/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_LANE_H
#define API_LANE_H

#include <stdbool.h>
#include <stddef.h>

#include "api/call.h"

/* A bounded queue and the threads that work it off: router_finish(), then the call's done(). */
struct lane;

/*
 *   name       of its threads and metrics: "db", "hash"
 *   threads    that many workers
 *   queue_max  calls that may wait; a further one is refused
 *   nice       added to the threads' nice value: a lower priority
 * NULL when a thread cannot be had; the cause is logged.
 */
struct lane *lane_new(const char *name, size_t threads, size_t queue_max, int nice);

/* Queue a call; false when the lane is full. */
bool lane_submit(struct lane *lane, struct call *c);

/* Work off what is queued, stop the threads and free the lane. */
void lane_free(struct lane **lane);

#endif
