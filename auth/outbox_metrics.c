/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/outbox_metrics.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "auth/outbox.h"
#include "lib/metrics.h"

#define CALLS "mintd_workflow_calls_total"
#define CALLS_HELP "Calls of the workflow engine, by workflow and result."
#define LABELS(workflow, result) "workflow=\"" workflow "\",result=\"" result "\""

METRICS_COUNTER(inventory_ok, CALLS, LABELS("update_device_inventory", "delivered"), CALLS_HELP);
METRICS_COUNTER(inventory_bad, CALLS, LABELS("update_device_inventory", "failed"), CALLS_HELP);
METRICS_COUNTER(provision_ok, CALLS, LABELS("provision_device", "delivered"), CALLS_HELP);
METRICS_COUNTER(provision_bad, CALLS, LABELS("provision_device", "failed"), CALLS_HELP);
METRICS_COUNTER(status_ok, CALLS, LABELS("update_device_status", "delivered"), CALLS_HELP);
METRICS_COUNTER(status_bad, CALLS, LABELS("update_device_status", "failed"), CALLS_HELP);
METRICS_COUNTER(decommission_ok, CALLS, LABELS("decommission_device", "delivered"), CALLS_HELP);
METRICS_COUNTER(decommission_bad, CALLS, LABELS("decommission_device", "failed"), CALLS_HELP);
METRICS_COUNTER(legacy_ok, CALLS, LABELS("legacy_provision_iot_manager", "delivered"), CALLS_HELP);
METRICS_COUNTER(legacy_bad, CALLS, LABELS("legacy_provision_iot_manager", "failed"), CALLS_HELP);
METRICS_GAUGE(waiting, "mintd_workflow_queue_length", "", "Calls of the workflow engine that wait in the database.");
METRICS_GAUGE(age, "mintd_workflow_oldest_age_seconds", "", "How long the oldest of them has waited; 0 without any.");

static const struct {
    const char *workflow;
    struct metric *delivered, *failed;
} calls[] = {
    {"update_device_inventory", &inventory_ok, &inventory_bad},
    {"provision_device", &provision_ok, &provision_bad},
    {"update_device_status", &status_ok, &status_bad},
    {"decommission_device", &decommission_ok, &decommission_bad},
    {"legacy_provision_iot_manager", &legacy_ok, &legacy_bad},
};

static void set(struct metric *gauge, int64_t value)
{
    metrics_add(gauge, value - metrics_value(gauge));
}

void outbox_metrics_count(const char *workflow, bool is_delivered)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(calls[i].workflow, workflow) == 0)
            metrics_add(is_delivered ? calls[i].delivered : calls[i].failed, 1);
}

void outbox_metrics_measure(struct db *db)
{
    int64_t n = 0;
    int64_t age_ms = 0;
    if (outbox_pending(db, &n, &age_ms) != ERR_OK)
        return;
    set(&waiting, n);
    set(&age, age_ms / 1000);
}
