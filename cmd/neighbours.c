/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/neighbours.h"

#include "auth/checkin.h"
#include "auth/outbox.h"
#include "auth/tenant.h"
#include "lib/auto.h"

enum { TENANT_TIMEOUT_MS = 10000 };

enum err neighbours_start(const struct config *config, struct fleet *fleet)
{
    const struct outbox_config calls = {.orchestrator_addr = config->orchestrator_addr,
                                        .timeout_ms = config->orchestrator_timeout_s * 1000};
    if (*calls.orchestrator_addr != '\0')
        TRY(outbox_start(&calls, fleet->db, &fleet->outbox));
    if (*config->tenantadm_addr != '\0')
        fleet->tenants = tenant_service_new(&(struct tenant_config){.addr = config->tenantadm_addr,
                                                                    .default_token = config->default_tenant_token,
                                                                    .timeout_ms = TENANT_TIMEOUT_MS});
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
    tenant_service_free(&fleet->tenants);
}

struct peers neighbours_peers(const struct config *config)
{
    return (struct peers){.inventory_addr = config->inventory_addr,
                          .orchestrator_addr = config->orchestrator_addr,
                          .tenantadm_addr = config->tenantadm_addr};
}
