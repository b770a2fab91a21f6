/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/config_table.h"

#include <string.h>

#include "auth/password.h"
#include "cmd/config.h"

#define FIELD(name) offsetof(struct config, name)

enum { DAY_S = 86400 };

/* clang-format off: a table reads better with a line for what a key is and one for what it means */
const struct config_key config_table[] = {
    {"", "db", CONFIG_TEXT, FIELD(db), "sqlite:mintd.db", "sqlite:/var/lib/useradm/useradm.db", 1, 0, NULL,
     "sqlite:PATH or postgresql://user:password@host/name"},
    {"", "listen", CONFIG_ADDRESS, FIELD(listen), ":8080", NULL, 1, 0, NULL,
     "public listener: management API, JWKS; port 0 lets the system choose"},
    {"", "internal_listen", CONFIG_ADDRESS, FIELD(internal_listen), "127.0.0.1:8081", "", 0, 0, NULL,
     "internal listener: verify, health, metrics; empty for none"},
    {"", "trust_gateway", CONFIG_BOOL, FIELD(trust_gateway), "false", "true", 0, 0, NULL,
     "believe tokens that a gateway has verified, and serve internal routes on listen too"},
    {"", "log_level", CONFIG_CHOICE, FIELD(log_level), "info", NULL, 0, 0, "debug|info|warn|warning|error",
     "debug, info, warn or error"},
    {"", "log_format", CONFIG_CHOICE, FIELD(log_format), "text", NULL, 0, 0, "text|json", "text or json"},
    {"", "io_threads", CONFIG_INT, FIELD(io_threads), "0", NULL, 0, 256, NULL,
     "threads that own connections; 0: one per core"},
    {"", "db_threads", CONFIG_INT, FIELD(db_threads), "0", NULL, 0, 256, NULL,
     "threads for storage and RSA signing; 0: four per core"},
    {"", "hash_threads", CONFIG_INT, FIELD(hash_threads), "0", NULL, 0, 256, NULL,
     "threads for password hashing; 0: one per core"},
    {"", "queue_max", CONFIG_INT, FIELD(queue_max), "1024", NULL, 1, 1000000, NULL,
     "requests that may wait for such threads; more get 503"},
    {"", "connections_max", CONFIG_INT, FIELD(connections_max), "8192", NULL, 1, 1000000, NULL,
     "open connections of each listener"},
    {"", "request_size_limit", CONFIG_INT, FIELD(request_size_limit), "1048576", NULL, 1, 1 << 30, NULL,
     "bytes of a request body"},
    {"", "header_timeout_s", CONFIG_INT, FIELD(header_timeout_s), "10", NULL, 1, 3600, NULL,
     "seconds a client has for its request line and headers"},
    {"", "body_timeout_s", CONFIG_INT, FIELD(body_timeout_s), "30", NULL, 1, 3600, NULL,
     "seconds a client has for its body"},
    {"", "idle_timeout_s", CONFIG_INT, FIELD(idle_timeout_s), "120", NULL, 1, 86400, NULL,
     "seconds a connection may stay open without a request"},
    {"", "stop_timeout_s", CONFIG_INT, FIELD(stop_timeout_s), "8", NULL, 0, 3600, NULL,
     "seconds a stop waits for requests under way"},

    {"useradm", "key_directory", CONFIG_TEXT, FIELD(key_directory), "", NULL, 0, 0, NULL,
     "where key files are; empty: beside server_priv_key_path, or else ./keys"},
    {"useradm", "server_priv_key_path", CONFIG_TEXT, FIELD(server_priv_key_path), "", "/etc/useradm/rsa/private.pem", 0,
     0, NULL, "the key that signs, a file or a link to one; empty: the highest key id signs"},
    {"useradm", "default_key_path", CONFIG_TEXT, FIELD(default_key_path), "", NULL, 0, 0, NULL,
     "key id 0; empty: private.pem in the key directory, then /etc/useradm/rsa/private.pem"},
    {"useradm", "server_fallback_priv_key_path", CONFIG_TEXT, FIELD(server_fallback_priv_key_path), "", NULL, 0, 0,
     NULL, "tried when the key of a token's id does not verify it"},
    {"useradm", "server_priv_key_filename_pattern", CONFIG_TEXT, FIELD(server_priv_key_filename_pattern),
     "private\\.id\\.([0-9]*)\\.pem", NULL, 1, 0, NULL, "names of key files; the first group is the key id"},
    {"useradm", "pattern_compat", CONFIG_BOOL, FIELD(pattern_compat), "false", NULL, 0, 0, NULL,
     "let the pattern match a part of a name, as the original does"},
    {"useradm", "strict_key_permissions", CONFIG_BOOL, FIELD(strict_key_permissions), "false", NULL, 0, 0, NULL,
     "refuse key files with a mode wider than 0640 instead of warning"},
    {"useradm", "rsa_algorithm", CONFIG_CHOICE, FIELD(rsa_algorithm), "RS256", NULL, 0, 0,
     "RS256|RS384|RS512|PS256|PS384|PS512", "the algorithm of RSA keys"},
    {"useradm", "key_algorithms", CONFIG_ALGS, FIELD(key_algorithms), "", NULL, 0, 0, NULL,
     "the algorithm of single RSA keys: {7: PS256}"},
    {"useradm", "keys_max", CONFIG_INT, FIELD(keys_max), "100", NULL, 1, 10000, NULL, "key files at most"},
    {"useradm", "jwt_issuer", CONFIG_TEXT, FIELD(jwt_issuer), "mender.useradm", NULL, 1, 255, NULL,
     "the iss claim of new tokens"},
    {"useradm", "jwt_exp_timeout", CONFIG_INT, FIELD(jwt_exp_timeout), "604800", NULL, 1, INT64_C(36500) * DAY_S, NULL,
     "seconds that a login lasts"},
    {"useradm", "jwt_leeway", CONFIG_INT, FIELD(jwt_leeway), "0", NULL, 0, 300, NULL,
     "seconds of clock difference that are forgiven"},
    {"useradm", "accepted_issuers", CONFIG_LIST, FIELD(accepted_issuers), "", NULL, 0, 0, NULL,
     "iss claims that are accepted; empty: any"},
    {"useradm", "limit_sessions_per_user", CONFIG_INT, FIELD(limit_sessions_per_user), "10", NULL, 0, 1000000, NULL,
     "logins a user can have, the oldest gives way; 0: any number"},
    {"useradm", "limit_tokens_per_user", CONFIG_INT, FIELD(limit_tokens_per_user), "10", NULL, 0, 1000000, NULL,
     "personal access tokens a user can have; 0: any number"},
    {"useradm", "token_last_used_update_freq_minutes", CONFIG_INT, FIELD(token_last_used_update_freq_minutes), "5",
     NULL, 0, 525600, NULL, "how often the last use of a personal access token is written; 0: never"},
    {"useradm", "token_cache_entries", CONFIG_INT, FIELD(token_cache_entries), "65536", NULL, 0, 10000000, NULL,
     "verified tokens that are remembered; 0: none"},
    {"useradm", "bcrypt_cost", CONFIG_INT, FIELD(bcrypt_cost), "10", NULL, PASSWORD_COST_MIN, PASSWORD_COST_MAX, NULL,
     "the cost of new password hashes"},

    {"useradm", "request_size_limit", CONFIG_INT, FIELD(request_size_limit), NULL, NULL, 1, 1 << 30, NULL, NULL},
    {.section = "useradm", .name = "listen", .type = CONFIG_LATER},
    {.section = "useradm", .name = "middleware", .type = CONFIG_LATER},
    {.section = "useradm", .name = "token_max_expiration_seconds", .type = CONFIG_LATER},
    {.section = "useradm", .name = "plan_definitions_path", .type = CONFIG_LATER},
    {.section = "useradm", .name = "rate_limits", .type = CONFIG_LATER},
    {.section = "useradm", .name = "rate_limits.auth.enable", .type = CONFIG_LATER},
    {.section = "useradm", .name = "mongo", .type = CONFIG_STORE},
    {.section = "useradm", .name = "mongo_ssl", .type = CONFIG_STORE},
    {.section = "useradm", .name = "mongo_ssl_skipverify", .type = CONFIG_STORE},
    {.section = "useradm", .name = "mongo_username", .type = CONFIG_STORE},
    {.section = "useradm", .name = "mongo_password", .type = CONFIG_STORE},
    {.section = "useradm", .name = "redis_connection_string", .type = CONFIG_STORE},
    {.section = "useradm", .name = "redis_key_prefix", .type = CONFIG_STORE},
    {0},
};
/* clang-format on */

const struct config_key *config_table_find(const char *section, const char *name)
{
    for (const struct config_key *key = config_table; key->name != NULL; key++)
        if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0)
            return key;
    return NULL;
}
