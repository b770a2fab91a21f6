/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/server.h"
#include "auth/guard.h"
#include "cmd/neighbours.h"
#include "cmd/open.h"
#include "keystore/keyring_metrics.h"
#include "lib/auto.h"
#include "lib/json.h"

enum { SWEEP_BATCH = 500, SWEEP_ROUNDS = 100, NEIGHBOURS = 2 };

/* What a device's token says of the tenant where there is only one (contract/deviceauth 3.1). */
static const char plan_name[] = "enterprise";
static const char *const addons[] = {"configure", "troubleshoot", "monitor"};

static enum cmd_exit choose(const struct cmd *cmd, const char *role, struct parts *parts)
{
    const enum role name = cmd->config->role;
    bool is_useradm = name == ROLE_USERADM || (role != NULL && strcmp(role, "useradm") == 0);
    bool is_deviceauth = name == ROLE_DEVICEAUTH || (role != NULL && strcmp(role, "deviceauth") == 0);
    if (role != NULL && !is_useradm && !is_deviceauth)
        return cmd_fail(cmd, CMD_USAGE, "--role must be useradm or deviceauth");
    if (is_useradm && is_deviceauth)
        return cmd_fail(cmd, CMD_USAGE, "--role must not contradict the program's name");
    parts->has_people = !is_deviceauth;
    parts->has_devices = !is_useradm;
    if (name == ROLE_DEVICEAUTH && !cmd->config->trust_gateway)
        return cmd_fail(cmd, CMD_USAGE,
                        "under this name trust_gateway cannot be false: it has no keys that users' "
                        "tokens verify with; mintd server --role deviceauth has them");
    return CMD_OK;
}

/* As many as there are threads that may ask at the same time. */
static size_t connections(const struct config *config)
{
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t workers = server_db_threads((unsigned)config->db_threads);
    int64_t hashers = config->hash_threads > 0 ? config->hash_threads : cores;
    return (size_t)(workers + hashers + NEIGHBOURS);
}

static enum cmd_exit open_rings(const struct cmd *cmd, struct parts *parts)
{
    enum cmd_exit code = CMD_OK;
    if (cmd->config->role != ROLE_DEVICEAUTH)
        code = open_ring(cmd, ROLE_USERADM, &parts->user_ring);
    if (code == CMD_OK && parts->has_devices && !config_shares_keys(cmd->config))
        code = open_ring(cmd, ROLE_DEVICEAUTH, &parts->device_ring);
    return code;
}

/* The database is looked at before the keys are read, and changed after that: nothing is ever half started. */
static enum cmd_exit open_storage(const struct cmd *cmd, struct parts *parts)
{
    bool migrates = cmd_is_on(cmd, "automigrate");
    bool is_new = migrates && open_is_new(cmd);
    enum open_mode mode = migrates ? OPEN_OLDER : OPEN_CURRENT;
    enum cmd_exit code = is_new ? CMD_OK : open_db(cmd, mode, connections(cmd->config), &parts->db);
    if (code == CMD_OK)
        code = open_rings(cmd, parts);
    if (code == CMD_OK && is_new)
        code = open_db(cmd, mode, connections(cmd->config), &parts->db);
    return code == CMD_OK && migrates ? open_migrate(cmd, parts->db, NULL) : code;
}

static json_t *make_addons(void)
{
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof addons / sizeof *addons; i++)
        json_array_append_new(list, json_pack("{s:s, s:b}", "name", addons[i], "enabled", 1));
    return list;
}

static struct issuer *make_issuer(const struct config *config, enum role service, struct parts *parts)
{
    bool is_apart = service == ROLE_DEVICEAUTH && parts->device_ring != NULL;
    struct issuer_config rules;
    config_issuer(config, service, &rules);
    rules.liveness = parts->liveness;
    return issuer_new(&rules, parts->db, is_apart ? parts->device_ring : parts->user_ring);
}

static void make_fleet(const struct config *config, struct parts *parts)
{
    parts->devices = make_issuer(config, ROLE_DEVICEAUTH, parts);
    parts->device_keys = pubkey_cache_new((size_t)config->device_key_cache_entries, (int)config->min_device_rsa_bits);
    parts->addons = make_addons();
    parts->fleet = (struct fleet){
        .db = parts->db,
        .tokens = parts->devices,
        .plan = {.plan = plan_name, .addons = parts->addons},
        .legacy_provision = config->legacy_provision_device,
        .have_addons = config->have_addons,
    };
}

static void make_service(const struct config *config, struct parts *parts)
{
    size_t proxies_n = 0;
    parts->peers = neighbours_peers(config);
    parts->proxies = config_proxies(config, &proxies_n);
    parts->service = (struct service){
        .db = parts->db,
        .users = parts->users,
        .user_limits = parts->user_limits,
        .devices_only = !parts->has_people,
        .fleet = parts->has_devices ? &parts->fleet : NULL,
        .inventory_view = config->inventory_view,
        .peers = &parts->peers,
        .device_keys = parts->device_keys,
        .device_limits = parts->device_limits,
        .trust_gateway = config->trust_gateway,
        .body_max = config->request_size_limit,
        .password_cost = (int)config->bcrypt_cost,
        .plans = parts->plans,
        .trusted_proxies = parts->proxies,
        .trusted_proxies_n = proxies_n,
        .version = version_text,
    };
}

enum cmd_exit parts_open(const struct cmd *cmd, const char *role, struct parts *parts)
{
    const struct config *config = cmd->config;
    enum cmd_exit code = choose(cmd, role, parts);
    if (code == CMD_OK)
        code = open_plans(cmd, &parts->plans);
    if (code == CMD_OK)
        code = open_storage(cmd, parts);
    if (code == CMD_OK && parts->has_people)
        code = open_limits(cmd, ROLE_USERADM, &parts->user_limits);
    if (code == CMD_OK && parts->has_devices)
        code = open_limits(cmd, ROLE_DEVICEAUTH, &parts->device_limits);
    if (code != CMD_OK)
        return code;
    parts->liveness = liveness_new(parts->db);
    if (parts->user_ring != NULL)
        parts->users = make_issuer(config, ROLE_USERADM, parts);
    if (parts->has_devices)
        make_fleet(config, parts);
    make_service(config, parts);
    return CMD_OK;
}

static void tidy(struct parts *parts)
{
    if (parts->users != NULL)
        issuer_tidy(parts->users);
    if (parts->devices != NULL)
        issuer_tidy(parts->devices);
}

/* The ring logs what it found, and on an error the last good keys stay. */
static void reload_user_ring(void *arg)
{
    struct parts *parts = arg;
    (void)!keyring_reload(parts->user_ring);
    tidy(parts);
}

static void reload_device_ring(void *arg)
{
    struct parts *parts = arg;
    (void)!keyring_reload(parts->device_ring);
    tidy(parts);
}

static enum cmd_exit watch(const struct cmd *cmd, struct keyring *ring, void (*reload)(void *arg), struct parts *parts,
                           struct watch **out)
{
    if (ring == NULL)
        return CMD_OK;
    keyring_metrics_add(ring);
    if (watch_start(keyring_dir(ring), reload, parts, out) == ERR_OK)
        return CMD_OK;
    return cmd_fail(cmd, CMD_KEYS, "the key directory %s cannot be watched", keyring_dir(ring));
}

enum cmd_exit parts_watch(const struct cmd *cmd, struct parts *parts)
{
    enum cmd_exit code = watch(cmd, parts->user_ring, reload_user_ring, parts, &parts->user_watch);
    if (code == CMD_OK)
        code = watch(cmd, parts->device_ring, reload_device_ring, parts, &parts->device_watch);
    if (code == CMD_OK && liveness_start(parts->liveness) != ERR_OK)
        code = cmd_fail(cmd, CMD_DATABASE, "the database's changes cannot be watched");
    return code;
}

void parts_reload(struct parts *parts)
{
    if (parts->user_watch != NULL)
        watch_kick(parts->user_watch);
    if (parts->device_watch != NULL)
        watch_kick(parts->device_watch);
}

static enum err sweep_tokens(struct issuer *issuer, int64_t *deleted)
{
    return issuer_sweep(issuer, SWEEP_BATCH, deleted);
}

static enum err sweep_failures(struct issuer *issuer, int64_t *deleted)
{
    return guard_sweep(issuer_db(issuer), SWEEP_BATCH, deleted);
}

/* A failure is logged by storage; the next round is not far away. */
static void sweep(struct issuer *issuer, enum err (*batch)(struct issuer *issuer, int64_t *deleted))
{
    int64_t deleted = SWEEP_BATCH;
    for (int i = 0; i < SWEEP_ROUNDS && deleted >= SWEEP_BATCH; i++)
        if (batch(issuer, &deleted) != ERR_OK)
            return;
}

void parts_sweep(struct parts *parts)
{
    if (parts->has_people) {
        sweep(parts->users, sweep_tokens);
        sweep(parts->users, sweep_failures);
    }
    if (parts->has_devices)
        sweep(parts->devices, sweep_tokens);
    liveness_sweep(parts->liveness);
    tidy(parts);
}

static void release_ring(struct keyring **ring)
{
    if (*ring != NULL)
        keyring_metrics_remove(*ring);
    keyring_free(ring);
}

void parts_release(struct parts *parts)
{
    neighbours_stop(&parts->fleet);
    watch_stop(&parts->user_watch);
    watch_stop(&parts->device_watch);
    ratelimit_free(&parts->user_limits);
    ratelimit_free(&parts->device_limits);
    issuer_free(&parts->users);
    issuer_free(&parts->devices);
    liveness_free(&parts->liveness);
    pubkey_cache_free(&parts->device_keys);
    json_release(&parts->addons);
    free(parts->proxies);
    release_ring(&parts->user_ring);
    release_ring(&parts->device_ring);
    db_free(&parts->db);
    plan_list_free(&parts->plans);
}
