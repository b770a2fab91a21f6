/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_FLEET_H
#define AUTH_FLEET_H

#include <stdbool.h>

#include "auth/claims.h"
#include "auth/issuer.h"
#include "auth/outbox.h"
#include "lib/db.h"

struct checkin;
struct tenant_service;

/* What the rules of devices work with: one for the process, read-only while it serves; everything is borrowed. */
struct fleet {
    struct db *db;
    struct issuer *tokens;   /* devices' tokens */
    struct outbox *outbox;   /* NULL: there is no workflow engine, so no events either */
    struct checkin *checkin; /* NULL: nobody notes when devices are seen */
    struct claims_plan plan; /* what tokens say when no tenant service does */
    bool legacy_provision;   /* tell the engine when a device is accepted again (legacy_provision_device) */

    struct tenant_service *tenants; /* NULL: there is one tenant */
    bool have_addons;               /* refuse devices what their tenant has no add-on for */
};

#endif
