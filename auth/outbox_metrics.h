/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_OUTBOX_METRICS_H
#define AUTH_OUTBOX_METRICS_H

#include <stdbool.h>

#include "lib/db.h"

/* Count a call of a workflow. */
void outbox_metrics_count(const char *workflow, bool is_delivered);

/* Look how much waits, and since when. */
void outbox_metrics_measure(struct db *db);

#endif
