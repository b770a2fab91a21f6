/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_OUTBOX_H
#define AUTH_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/*
 * Calls of the workflow engine (contract/deviceauth 5.5): written in the transaction that causes them, sent right after
 * it, and kept and tried again until they are delivered, for each device in the order in which they were caused. Any
 * number of processes may do so on one database: one call is never made by two at the same time. A call may be made
 * twice when this process or the connection ends between the engine's answer and its note of it.
 */
struct outbox;

struct outbox_config {
    const char *orchestrator_addr; /* "http://host:port/"; copied */
    int64_t timeout_ms;            /* of one call */

    /* between looks at the queue, before the first repetition, how long who caused a call has to make it; 0: 1000 */
    int64_t round_ms;
};

/* Start the thread that delivers what was left over. db is borrowed and must live longer. */
enum err outbox_start(const struct outbox_config *config, struct db *db, struct outbox **out);

/* The program is about to stop: calls that still run in within_ms are given up; what they said stays queued. */
void outbox_hurry(struct outbox *outbox, int64_t within_ms);

/* Nobody else uses it any more. Takes about a second at most. */
void outbox_stop(struct outbox **outbox);

/* Queue a call of workflow with this JSON body for a device, in the caller's transaction. */
enum err outbox_add(struct db *tx, const char *device_id, const char *workflow, const char *body);

/*
 * Send what is queued for the device, the oldest first, and wait until it is delivered. The caller's transaction has
 * ended. ERR_WORKFLOW: it could not be delivered yet; it stays queued
 */
enum err outbox_flush(struct outbox *outbox, const char *device_id);

/* How many calls wait, and for how long the oldest of them has, 0 without any. */
enum err outbox_pending(struct db *db, int64_t *calls, int64_t *age_ms);

/* A call that waits. */
struct outbox_event {
    char *device_id;
    char *workflow;
    char *error; /* of the last try; "" before any */
    int64_t seq; /* order within the device */
    int64_t created_ms, due_ms;
    int64_t attempts;
};

/*
 * The calls that wait, the longest first, limit of them at most, as an array of *n that the caller frees with
 * outbox_list_free().
 */
enum err outbox_list(struct db *db, int64_t limit, struct outbox_event **out, size_t *n);
void outbox_list_free(struct outbox_event **events, size_t n);

#endif
