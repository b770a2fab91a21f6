/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/neighbours.h"

#include "auth/checkin.h"
#include "auth/outbox.h"
#include "lib/auto.h"

enum err neighbours_start(const struct config *config, struct fleet *fleet)
{
    const struct outbox_config calls = {.orchestrator_addr = config->orchestrator_addr,
                                        .timeout_ms = config->orchestrator_timeout_s * 1000};
    if (*calls.orchestrator_addr != '\0')
        TRY(outbox_start(&calls, fleet->db, &fleet->outbox));
    return checkin_start(fleet, &fleet->checkin);
}

void neighbours_hurry(const struct config *config, struct fleet *fleet)
{
    if (fleet->outbox != NULL)
        outbox_hurry(fleet->outbox, config->stop_timeout_s * 1000);
}

void neighbours_stop(struct fleet *fleet)
{
    checkin_stop(&fleet->checkin);
    outbox_stop(&fleet->outbox);
}

struct peers neighbours_peers(const struct config *config)
{
    return (struct peers){.inventory_addr = config->inventory_addr,
                          .orchestrator_addr = config->orchestrator_addr,
                          .tenantadm_addr = config->tenantadm_addr};
}
