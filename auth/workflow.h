/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_WORKFLOW_H
#define AUTH_WORKFLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/http.h"

/* One call of the workflow engine (contract/deviceauth 5.5). Blocks. */
struct workflow_engine {
    char *base; /* "http://host:port/api/v1/workflow/" */
    int64_t timeout_ms;
    _Atomic int64_t give_up_ms; /* clock_mono_ms() at which calls end; 0: never */
};

void workflow_init(struct workflow_engine *engine, const char *addr, int64_t timeout_ms);
void workflow_release(struct workflow_engine *engine);

bool workflow_is_given_up(const struct workflow_engine *engine);

enum workflow_outcome {
    WORKFLOW_DELIVERED,
    WORKFLOW_REFUSED,  /* this call, by an engine that works */
    WORKFLOW_TROUBLE,  /* the engine's, or on the way to it */
    WORKFLOW_LATE,     /* the same, and it was waited for until the time-out */
    WORKFLOW_GIVEN_UP, /* give_up_ms was reached */
};

/*
 * Start a workflow with this JSON body. It is delivered when the status is under 300 and the answer empty or JSON.
 *   why  receives what went wrong, otherwise
 */
enum workflow_outcome workflow_call(const struct workflow_engine *engine, const char *workflow, const char *body,
                                    char why[HTTP_WHY_SIZE]);

#endif
