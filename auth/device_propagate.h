/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVICE_PROPAGATE_H
#define AUTH_DEVICE_PROPAGATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"
#include "lib/http.h"

/*
 * Telling inventory what it should know of all devices, when it has lost it or never had it (contract/deviceauth 6).
 * Inventory is called directly, a call after the other. What it refuses is counted, and the rest goes on.
 */
struct device_propagate {
    struct db *db;
    const char *inventory_addr; /* "http://host:port/" */
    const char *tenant;         /* NULL: all that have devices */
    bool is_dry;                /* count, and call nobody */
    int64_t timeout_ms;         /* of a call */
    double calls_per_s;         /* at most; 0: any number */
    int64_t unless_since_s;     /* 0, or: what inventory learned after this second stays */

    _Atomic int64_t give_up_ms; /* clock_mono_ms() at which all ends; 0: never */
    int64_t told;               /* devices */
    int64_t kept;               /* of which inventory knew something newer */
    int64_t refused;
    char why[HTTP_WHY_SIZE]; /* what was refused last, or ended it */
    int64_t next_ms_thousandths;
};

/* The status of each device, many in one call. ERR_HTTP_...: inventory does not answer; storage errors */
enum err device_propagate_statuses(struct device_propagate *run);

/* What each device says of itself. ERR_HTTP_...: as above */
enum err device_propagate_identities(struct device_propagate *run);

#endif
