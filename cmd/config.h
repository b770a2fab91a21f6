/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_CONFIG_H
#define CMD_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "auth/issuer.h"
#include "keystore/keyring.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/net.h"
#include "lib/ratelimit.h"

/* Which service the program is, by the name it was started under. */
enum role { ROLE_MINTD, ROLE_USERADM, ROLE_DEVICEAUTH };

/* A value that is a list; item[n] is NULL. */
struct config_list {
    char **item;
    size_t n;
};

/* A value that is a list of maps of texts, and where it came from, for what is found wrong with it later. */
struct config_objects {
    json_t *list;
    char *source;
    char *key;
};

/* What the services have under rate_limits.auth. */
struct config_limits {
    bool enable;
    bool reject_unmatched;
    struct config_objects groups, match;
};

/* The algorithm of single keys. */
struct config_algs {
    struct keyring_alg *alg;
    size_t n;
};

/* What a service says of its keys and its tokens. */
struct config_tokens {
    char *key_directory;
    char *server_priv_key_path;
    char *default_key_path;
    char *server_fallback_priv_key_path;
    char *server_priv_key_filename_pattern;
    bool pattern_compat;
    bool strict_key_permissions;
    char *rsa_algorithm;
    struct config_algs key_algorithms;
    int64_t keys_max;
    char *jwt_issuer;
    int64_t jwt_exp_timeout;
    int64_t jwt_leeway;
    struct config_list accepted_issuers;
    int64_t token_cache_entries;
    int64_t token_cache_bytes;
    struct config_limits limits; /* of verified calls */
};

/* The effective configuration: read and checked once, then passed down const. What each key means: config_table.c. */
struct config {
    enum role role;
    char *file;    /* where it was read from, NULL: nowhere */
    json_t *notes; /* what config_warn() says */

    char *db;
    char *listen;
    char *internal_listen;
    bool trust_gateway;
    struct config_list trusted_proxies;
    char *log_level;
    char *log_format;
    int64_t io_threads, db_threads, hash_threads, queue_max, connections_max, request_size_limit;
    int64_t header_timeout_s, body_timeout_s, idle_timeout_s, stop_timeout_s;

    /* section useradm */
    struct config_tokens people;
    int64_t limit_sessions_per_user;
    int64_t limit_tokens_per_user;
    int64_t token_max_expiration_seconds;
    int64_t token_last_used_update_freq_minutes;
    char *plan_definitions_path;
    int64_t bcrypt_cost;
    int64_t login_failures_delay_after;
    int64_t login_failures_lock_after;
    int64_t login_lock_seconds;
    int64_t login_account_lock_after;

    /* section deviceauth */
    struct config_tokens devices;
    char *orchestrator_addr;
    int64_t orchestrator_timeout_s;
    char *inventory_addr;
    char *tenantadm_addr;
    char *default_tenant_token;
    bool have_addons;
    bool legacy_provision_device;
    bool inventory_view;
    int64_t min_device_rsa_bits;
    int64_t device_key_cache_entries;
};

/*
 * Read the configuration: defaults, then the file (NULL: none), then the environment. Flags follow with config_set().
 *
 * In the environment a key of the top level is MINTD_<KEY>, one of the section useradm USERADM_<KEY>,
 * of deviceauth DEVICEAUTH_<KEY>; an empty variable
 * counts as unset. Under a link name the file is the original's flat one, each key is USERADM_<KEY> as well, LOG_LEVEL
 * and LOG_FORMAT count, and an unknown key is a warning instead of an error (contract/useradm 7). Keys of stores that
 * mintd does not have (MongoDB, Redis) are named once in a warning. The file is YAML or
 * JSON. On an error one line names source, key and reason.
 * ERR_CONFIG
 */
enum err config_load(enum role role, const char *file, struct config **out);
void config_free(struct config **config);

/* Log the warnings of reading it. Apart, so that the log can be set up first as the configuration says. */
void config_warn(const struct config *config);

/* As config_load(), from text, without the environment: for tests and the fuzzer. */
enum err config_parse(enum role role, const char *text, size_t len, struct config **out);

/* Set one key from text as a flag does; name is dotted ("useradm.jwt_issuer"). ERR_CONFIG, logged: it does not fit. */
enum err config_set(struct config *config, const char *name, const char *value);

/* Print it as YAML that config_load() reads back, passwords in db masked. */
void config_print(const struct config *config, FILE *out);

/* What the configuration asks for; all borrows from it. */

/* Whether devices' tokens are signed with the keys of people's: nothing else is said of their keys. */
bool config_shares_keys(const struct config *config);

/* What is said of the keys and tokens of one of the services; of the keys of people's where devices share those. */
const struct config_tokens *config_keys(const struct config *config, enum role service);

/* The key ring of one of the services; that of people is what the program has but under the name deviceauth. */
void config_keyring(const struct config *config, enum role service, struct keyring_config *out);

/* The rate limits of verified calls with its tokens. false: there are none */
bool config_limits(const struct config *config, enum role service, struct ratelimit_config *out);

void config_issuer(const struct config *config, enum role service, struct issuer_config *out);

/* The trusted proxies, *n of them; the caller frees the array. */
struct net *config_proxies(const struct config *config, size_t *n);

#endif
