/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/server.h"
#include "api/service.h"
#include "auth/guard.h"
#include "auth/issuer.h"
#include "cmd/cmd.h"
#include "cmd/open.h"
#include "keystore/keyring_metrics.h"
#include "keystore/pubkey_cache.h"
#include "keystore/watch.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

enum { SWEEP_EVERY_MS = 60000, SWEEP_BATCH = 500, SWEEP_ROUNDS = 100, CONNECTIONS_PER_CORE = 4 };

/* Before any thread starts: every thread inherits the mask, and the main one waits for these. */
static sigset_t block_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

/* While a stop waits for requests under way, the next such signal ends the program at once. */
static void unblock_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

static void reload(void *ring)
{
    /* the ring logs what it found, and on an error the last good keys stay */
    if (keyring_reload(ring) != ERR_OK)
        return;
}

static enum err sweep_tokens(struct issuer *issuer, int64_t *deleted)
{
    return issuer_sweep(issuer, SWEEP_BATCH, deleted);
}

static enum err sweep_failures(struct issuer *issuer, int64_t *deleted)
{
    return guard_sweep(issuer_db(issuer), SWEEP_BATCH, deleted);
}

/* A failure is logged by storage; the next round is a minute away. */
static void sweep_all(struct issuer *issuer, enum err (*batch)(struct issuer *issuer, int64_t *deleted))
{
    int64_t deleted = SWEEP_BATCH;
    for (int i = 0; i < SWEEP_ROUNDS && deleted == SWEEP_BATCH; i++)
        if (batch(issuer, &deleted) != ERR_OK)
            return;
}

static void sweep(struct issuer *issuer)
{
    sweep_all(issuer, sweep_tokens);
    sweep_all(issuer, sweep_failures);
}

/* Until a signal says stop. */
static void wait_for_stop(const sigset_t *signals, struct watch *watch, struct issuer *issuer)
{
    int64_t sweep_at = clock_mono_ms() + SWEEP_EVERY_MS;
    for (;;) {
        int64_t left = sweep_at - clock_mono_ms();
        if (left <= 0) {
            sweep(issuer);
            sweep_at = clock_mono_ms() + SWEEP_EVERY_MS;
            continue;
        }
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        int number = sigtimedwait(signals, NULL, &wait);
        if (number == SIGHUP)
            watch_kick(watch);
        if (number != SIGTERM && number != SIGINT)
            continue;
        log_info("stopping", LOG_STR("signal", strsignal(number)));
        return;
    }
}

static struct server_config server_settings(const struct config *config)
{
    struct server_config settings = server_defaults;
    settings.listen = config->listen;
    settings.internal_listen = config->internal_listen;
    settings.threads = (unsigned)config->io_threads;
    settings.db_threads = (unsigned)config->db_threads;
    settings.hash_threads = (unsigned)config->hash_threads;
    settings.queue_max = (unsigned)config->queue_max;
    settings.connections_max = (unsigned)config->connections_max;
    settings.header_timeout_ms = config->header_timeout_s * 1000;
    settings.body_timeout_ms = config->body_timeout_s * 1000;
    settings.idle_timeout_ms = config->idle_timeout_s * 1000;
    settings.stop_timeout_ms = config->stop_timeout_s * 1000;
    return settings;
}

/* As many as there are threads that may ask at the same time. */
static size_t connections(const struct config *config)
{
    int64_t cores = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t workers = config->db_threads > 0 ? config->db_threads : CONNECTIONS_PER_CORE * cores;
    int64_t hashers = config->hash_threads > 0 ? config->hash_threads : cores;
    return (size_t)(workers + hashers);
}

/* The address as it was asked for, with the port that it became. */
static char *bound(const char *address, int port)
{
    const char *colon = strrchr(address, ':');
    return colon == NULL ? mem_strdup("") : mem_printf("%.*s:%d", (int)(colon - address), address, port);
}

/* Behind a gateway every client has the gateway's address, and whoever guesses locks everybody out. */
static void warn_of_gateway(const struct config *config)
{
    const bool is_guarded = config->login_failures_delay_after > 0 || config->login_failures_lock_after > 0;
    if (config->trust_gateway && config->trusted_proxies.n == 0 && is_guarded)
        log_warn("failed logins of all clients count as the gateway's: name its network in trusted_proxies");
}

static void log_serving(const struct config *config, const struct server *server, const struct service *service)
{
    open_warn_of_plans(config, service->plans);
    warn_of_gateway(config);
    AUTO(mem_free) char *public = bound(config->listen, server_port(server, false));
    AUTO(mem_free) char *internal = bound(config->internal_listen, server_port(server, true));
    log_info("serving", LOG_STR("listen", public), LOG_STR("internal_listen", internal),
             LOG_STR("db", db_engine(service->db)), LOG_STR("version", version_text));
}

static void nets_free(struct net **nets)
{
    free(*nets);
    *nets = NULL;
}

static json_t *addons(void)
{
    return json_pack("[{s:s, s:b}, {s:s, s:b}, {s:s, s:b}]", "name", "configure", "enabled", 1, "name", "troubleshoot",
                     "enabled", 1, "name", "monitor", "enabled", 1);
}

static enum cmd_exit serve(const struct cmd *cmd, const sigset_t *signals, struct db *db, struct keyring *ring,
                           const struct plan_list *plans)
{
    const struct config *config = cmd->config;
    struct issuer_config rules;
    config_issuer(config, ROLE_USERADM, &rules);
    AUTO(issuer_free) struct issuer *issuer = issuer_new(&rules, db, ring);
    AUTO(ratelimit_free) struct ratelimit *limits = NULL;
    if (open_limits(cmd, &limits) != CMD_OK)
        return CMD_KEYS;
    size_t proxies_n = 0;
    AUTO(nets_free) struct net *proxies = config_proxies(config, &proxies_n);
    struct issuer_config device_rules;
    config_issuer(config, ROLE_DEVICEAUTH, &device_rules);
    AUTO(issuer_free) struct issuer *devices = issuer_new(&device_rules, db, ring);
    AUTO(pubkey_cache_free)
    struct pubkey_cache *device_keys =
        pubkey_cache_new((size_t)config->device_key_cache_entries, (int)config->min_device_rsa_bits);
    AUTO(json_release) json_t *plan_addons = addons();
    const struct fleet fleet = {.db = db, .tokens = devices, .plan = {.plan = "enterprise", .addons = plan_addons}};
    struct service service = {
        .db = db,
        .users = issuer,
        .fleet = &fleet,
        .device_keys = device_keys,
        .user_limits = limits,
        .trust_gateway = config->trust_gateway,
        .body_max = config->request_size_limit,
        .password_cost = (int)config->bcrypt_cost,
        .plans = plans,
        .trusted_proxies = proxies,
        .trusted_proxies_n = proxies_n,
        .version = version_text,
    };
    AUTO(watch_stop) struct watch *watch = NULL;
    if (watch_start(keyring_dir(ring), reload, ring, &watch) != ERR_OK)
        return cmd_fail(cmd, CMD_KEYS, "the key directory cannot be watched");
    AUTO(server_stop) struct server *server = NULL;
    const struct server_config settings = server_settings(config);
    if (server_start(&settings, &service, &server) != ERR_OK)
        return CMD_KEYS;
    log_serving(config, server, &service);
    wait_for_stop(signals, watch, issuer);
    unblock_signals();
    server_stop(&server);
    log_info("stopped", LOG_STR("version", version_text));
    return CMD_OK;
}

/* The database is looked at before the keys are read, and changed after that: nothing is ever half started. */
static enum cmd_exit open_all(const struct cmd *cmd, struct keyring **ring, struct db **db)
{
    bool migrates = cmd_is_on(cmd, "automigrate");
    bool is_new = migrates && open_is_new(cmd);
    enum open_mode mode = migrates ? OPEN_OLDER : OPEN_CURRENT;
    enum cmd_exit code = is_new ? CMD_OK : open_db(cmd, mode, connections(cmd->config), db);
    if (code == CMD_OK)
        code = open_ring(cmd, ROLE_USERADM, ring);
    if (code == CMD_OK && is_new)
        code = open_db(cmd, mode, connections(cmd->config), db);
    return code == CMD_OK && migrates ? open_migrate(cmd, *db, NULL) : code;
}

static enum cmd_exit run(struct cmd *cmd)
{
    const char *role = cmd_value(cmd, "role");
    if (role != NULL && strcmp(role, "useradm") != 0)
        return cmd_fail(cmd, CMD_USAGE,
                        strcmp(role, "deviceauth") == 0 ? "this build has no device service yet"
                                                        : "--role must be useradm or deviceauth");
    const sigset_t signals = block_signals();
    AUTO(plan_list_free) struct plan_list *plans = NULL;
    AUTO(keyring_free) struct keyring *ring = NULL;
    AUTO(db_free) struct db *db = NULL;
    enum cmd_exit code = open_plans(cmd, &plans);
    if (code == CMD_OK)
        code = open_all(cmd, &ring, &db);
    if (code != CMD_OK)
        return code;
    keyring_metrics_add(ring);
    code = serve(cmd, &signals, db, ring, plans);
    keyring_metrics_remove(ring);
    return code;
}

static const struct cmd_option options[] = {
    {"automigrate", NULL, "bring the database schema up to date first", NULL, false, false},
    {"listen", "ADDRESS", "the public listener, host:port", "listen", false, false},
    {"internal-listen", "ADDRESS", "verify, health and metrics; empty for none", "internal_listen", false, false},
    {"role", "ROLE", "serve one service only: useradm", NULL, false, false},
    {0},
};

const struct command serve_command = {
    .name = "server",
    .summary = "Serve until SIGTERM or SIGINT.",
    .details = "Configuration, keys and database are checked before anything listens. SIGHUP looks at the key "
               "directory now; it is\n"
               "watched anyway. Exit codes: 1 configuration, 2 database, 3 schema, 4 keys or listeners.",
    .examples = "$0 server --config /etc/mintd/mintd.yaml\n$0 server --automigrate --db sqlite:/var/lib/mintd/mintd.db",
    .options = options,
    .is_service = true,
    .run = run,
};
