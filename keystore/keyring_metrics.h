/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYRING_METRICS_H
#define KEYSTORE_KEYRING_METRICS_H

#include "keystore/keyring.h"

/* Show a key ring in the metrics from now on. It must be taken out before it is freed. */
void keyring_metrics_add(struct keyring *ring);

/* No more; waits for an output under way. */
void keyring_metrics_remove(struct keyring *ring);

#endif
