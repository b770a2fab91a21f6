/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_SERVICE_H
#define API_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/fleet.h"
#include "auth/issuer.h"
#include "auth/peers.h"
#include "auth/plan.h"
#include "keystore/pubkey_cache.h"
#include "lib/db.h"
#include "lib/net.h"
#include "lib/ratelimit.h"

/* What handlers work with: one for the process, made by cmd/serve.c (or a test), read-only while it serves. */
struct service {
    struct db *db;
    struct issuer *users;          /* people's tokens */
    struct ratelimit *user_limits; /* of verified calls of people; NULL: none */
    bool devices_only;             /* people's routes are not served, though their tokens count */
    const struct fleet *fleet;     /* NULL: routes of devices are not served */
    bool inventory_view;           /* show devices as an inventory does, where no other service is one */
    const struct peers *peers;     /* whose health is that of the device service, too; NULL: nobody's */
    struct pubkey_cache *device_keys;
    struct ratelimit *device_limits; /* of verify calls of devices; NULL: none */
    bool trust_gateway; /* believe the claims of unverified tokens; internal routes on the public listener too */
    int64_t body_max;   /* request_size_limit, bytes */
    int password_cost;  /* of new bcrypt hashes */
    const struct plan_list *plans;
    const struct net *trusted_proxies; /* whose X-Forwarded-For is believed */
    size_t trusted_proxies_n;
    const char *version;
};

#endif
