/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/server.h"
#include "cmd/cmd.h"
#include "cmd/neighbours.h"
#include "cmd/open.h"
#include "cmd/parts.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"

enum { SWEEP_EVERY_MS = 60000 };

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
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is as a full disk: an error, and not the end */
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

/* Until a signal says stop. */
static void wait_for_stop(const sigset_t *signals, struct parts *parts)
{
    int64_t sweep_at = clock_mono_ms() + SWEEP_EVERY_MS;
    for (;;) {
        int64_t left = sweep_at - clock_mono_ms();
        if (left <= 0) {
            parts_sweep(parts);
            sweep_at = clock_mono_ms() + SWEEP_EVERY_MS;
            continue;
        }
        struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
        int number = sigtimedwait(signals, NULL, &wait);
        if (number == SIGHUP)
            parts_reload(parts);
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

static void log_serving(const struct config *config, const struct server *server, const struct parts *parts)
{
    if (parts->has_people) {
        open_warn_of_plans(config, parts->plans);
        warn_of_gateway(config);
    }
    AUTO(mem_free) char *public = bound(config->listen, server_port(server, false));
    AUTO(mem_free) char *internal = bound(config->internal_listen, server_port(server, true));
    log_info("serving", LOG_STR("listen", public), LOG_STR("internal_listen", internal),
             LOG_STR("services", !parts->has_devices ? "useradm"
                                 : parts->has_people ? "useradm,deviceauth"
                                                     : "deviceauth"),
             LOG_STR("db", db_engine(parts->db)), LOG_STR("version", version_text));
}

static enum cmd_exit serve(const struct cmd *cmd, const sigset_t *signals, struct parts *parts)
{
    enum cmd_exit code = parts_watch(cmd, parts);
    if (code != CMD_OK)
        return code;
    if (parts->has_devices && neighbours_start(cmd->config, &parts->fleet) != ERR_OK)
        return CMD_KEYS;
    AUTO(server_stop) struct server *server = NULL;
    const struct server_config settings = server_settings(cmd->config);
    if (server_start(&settings, &parts->service, &server) != ERR_OK)
        return CMD_KEYS;
    log_serving(cmd->config, server, parts);
    wait_for_stop(signals, parts);
    unblock_signals();
    neighbours_hurry(cmd->config, &parts->fleet);
    server_stop(&server);
    neighbours_stop(&parts->fleet);
    log_info("stopped", LOG_STR("version", version_text));
    return CMD_OK;
}

static enum cmd_exit run(struct cmd *cmd)
{
    const sigset_t signals = block_signals();
    mem_keep();
    AUTO(parts_release) struct parts parts = {0};
    enum cmd_exit code = parts_open(cmd, cmd_value(cmd, "role"), &parts);
    return code == CMD_OK ? serve(cmd, &signals, &parts) : code;
}

static const struct cmd_option options[] = {
    {"automigrate", NULL, "bring the database schema up to date first", NULL, false, false},
    {"listen", "ADDRESS", "the public listener, host:port", "listen", false, false},
    {"internal-listen", "ADDRESS", "verify, health and metrics; empty for none", "internal_listen", false, false},
    {"role", "ROLE", "serve one service only: useradm or deviceauth", NULL, false, false},
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
