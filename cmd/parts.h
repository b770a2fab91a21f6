/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_PARTS_H
#define CMD_PARTS_H

#include "api/service.h"
#include "auth/fleet.h"
#include "auth/issuer.h"
#include "auth/liveness.h"
#include "auth/peers.h"
#include "auth/plan.h"
#include "cmd/cmd.h"
#include "keystore/keyring.h"
#include "keystore/pubkey_cache.h"
#include "keystore/watch.h"
#include "lib/db.h"
#include "lib/net.h"
#include "lib/ratelimit.h"

/* What a server consists of, made from its configuration, and the service that handlers see of it. */
struct parts {
    bool has_people;  /* people's routes are served */
    bool has_devices; /* devices' routes are */
    struct plan_list *plans;
    struct db *db;
    struct keyring *user_ring;   /* NULL: a gateway vouches for people, who are served by another process */
    struct keyring *device_ring; /* NULL: devices are not served, or the tokens of both have the same keys */
    struct liveness *liveness;
    struct issuer *users;
    struct issuer *devices;
    struct pubkey_cache *device_keys;
    json_t *addons;
    struct ratelimit *user_limits;
    struct ratelimit *device_limits;
    struct net *proxies;
    struct watch *user_watch;
    struct watch *device_watch;
    struct fleet fleet;
    struct peers peers;
    struct service service;
};

/*
 * Open and check everything that serving needs, in the order in which faults are best told: plans, database, keys. A
 * database that is to be made or migrated is changed last.
 *   role  "useradm" or "deviceauth" for one of the services, NULL for what the program's name stands for
 * CMD_USAGE, CMD_DATABASE, CMD_SCHEMA, CMD_KEYS: cmd_fail() has said why
 */
enum cmd_exit parts_open(const struct cmd *cmd, const char *role, struct parts *parts);

/* See changes of the key directories, and what other processes revoke, from now on. CMD_KEYS, CMD_DATABASE: as above */
enum cmd_exit parts_watch(const struct cmd *cmd, struct parts *parts);

/* Look at the key directories now. */
void parts_reload(struct parts *parts);

/* Delete some of what has expired. */
void parts_sweep(struct parts *parts);

void parts_release(struct parts *parts);

#endif
