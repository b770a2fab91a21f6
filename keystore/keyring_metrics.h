/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYRING_METRICS_H
#define KEYSTORE_KEYRING_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "keystore/keyring.h"

/* What a key ring counts; one is embedded in each. All rings are shown together, as a family must stand in one piece. */
enum keyring_result { KEYRING_CHANGED, KEYRING_UNCHANGED, KEYRING_FAILED, KEYRING_RESULTS };

struct keyring_metrics {
    const char *name;
    struct keyring *ring;
    _Atomic int64_t reloads[KEYRING_RESULTS];
    _Atomic int64_t last_success_s;
    struct keyring_metrics *next;
};

/* Show the ring from now on; it must be readable with keyring_acquire(). */
void keyring_metrics_add(struct keyring_metrics *m);

/* No more; waits for an output under way. */
void keyring_metrics_remove(struct keyring_metrics *m);

/* Count one load. */
void keyring_metrics_count(struct keyring_metrics *m, enum keyring_result result);

#endif
