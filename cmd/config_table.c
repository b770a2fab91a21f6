/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/config_table.h"

#include <string.h>

#include "auth/password.h"
#include "cmd/config.h"

/* A key is called as its field in struct config, or in one of its parts, is. */
#define TOP(field) "", #field, offsetof(struct config, field)
#define USERADM(field) "useradm", #field, offsetof(struct config, field)
#define PEOPLE(field) "useradm", #field, offsetof(struct config, people.field)
#define DEVICEAUTH(field) "deviceauth", #field, offsetof(struct config, field)
#define DEVICES(field) "deviceauth", #field, offsetof(struct config, devices.field)

/* Keys of the original's map rate_limits.auth. */
#define PEOPLE_LIMITS(field) "useradm", "rate_limits.auth." #field, offsetof(struct config, people.limits.field)
#define DEVICE_LIMITS(field) "deviceauth", "rate_limits.auth." #field, offsetof(struct config, devices.limits.field)

#define YEAR_S (INT64_C(365) * 86400)

/* clang-format off */
/* Keys that both services have, for their own key files and tokens. */
#define TOKEN(section, part, field) \
    section, #field, offsetof(struct config, part) + offsetof(struct config_tokens, field)
#define TOKEN_KEYS(section, part) \
    {TOKEN(section, part, key_directory), CONFIG_TEXT, 0, 0, "", \
     .help = "where key files are; empty: beside server_priv_key_path, or else ./keys"}, \
    {TOKEN(section, part, server_priv_key_path), CONFIG_TEXT, 0, 0, "", \
     .help = "the key that signs, a file or a link to one; empty: the highest key id signs", \
     .linked = "/etc/" section "/rsa/private.pem"}, \
    {TOKEN(section, part, default_key_path), CONFIG_TEXT, 0, 0, "", \
     .help = "key id 0; empty: private.pem in the key directory, then /etc/" section "/rsa/private.pem"}, \
    {TOKEN(section, part, server_fallback_priv_key_path), CONFIG_TEXT, 0, 0, "", \
     .help = "tried when the key of a token's id does not verify it"}, \
    {TOKEN(section, part, server_priv_key_filename_pattern), CONFIG_TEXT, 1, 0, "private\\.id\\.([0-9]*)\\.pem", \
     .help = "names of key files; the first group is the key id"}, \
    {TOKEN(section, part, pattern_compat), CONFIG_BOOL, 0, 0, "false", \
     .help = "let the pattern match a part of a name, as the original does"}, \
    {TOKEN(section, part, strict_key_permissions), CONFIG_BOOL, 0, 0, "false", \
     .help = "refuse key files with a mode wider than 0640 instead of warning"}, \
    {TOKEN(section, part, rsa_algorithm), CONFIG_CHOICE, 0, 0, "RS256", \
     .help = "the algorithm of RSA keys", .choices = "RS256|RS384|RS512|PS256|PS384|PS512"}, \
    {TOKEN(section, part, key_algorithms), CONFIG_ALGS, 0, 0, "", \
     .help = "the algorithm of single RSA keys: {7: PS256}"}, \
    {TOKEN(section, part, keys_max), CONFIG_INT, 1, 10000, "100", \
     .help = "key files at most"}, \
    {TOKEN(section, part, jwt_leeway), CONFIG_INT, 0, 300, "0", \
     .help = "seconds of clock difference that are forgiven"}, \
    {TOKEN(section, part, accepted_issuers), CONFIG_LIST, 0, 0, "", \
     .help = "iss claims that are accepted; empty: any"}, \
    {TOKEN(section, part, token_cache_entries), CONFIG_INT, 0, 10000000, "100000", \
     .help = "verified tokens that are remembered; 0: none"}, \
    {TOKEN(section, part, token_cache_bytes), CONFIG_INT, 1048576, 68719476736, "67108864", \
     .help = "memory that they take at most"},

const struct config_key config_table[] = {
    /* key                    type            min      max  default */
    {TOP(db),                 CONFIG_TEXT,    1,       0, "sqlite:mintd.db",
     .help = "sqlite:PATH or postgresql://user:password@host/name",
     .linked = "sqlite:/var/lib/useradm/useradm.db", .linked_devices = "sqlite:/var/lib/deviceauth/deviceauth.db"},
    {TOP(listen),             CONFIG_ADDRESS, 1,       0, ":8080",
     .help = "public listener: management API, JWKS; port 0 lets the system choose"},
    {TOP(internal_listen),    CONFIG_ADDRESS, 0,       0, "127.0.0.1:8081",
     .help = "internal listener: verify, health, metrics; empty for none", .linked = ""},
    {TOP(trust_gateway),      CONFIG_BOOL,    0,       0, "false",
     .help = "believe tokens that a gateway has verified, and serve internal routes on listen too",
     .linked = "true"},
    {TOP(trusted_proxies),    CONFIG_NETS,    0,       0, "",
     .help = "networks of proxies whose X-Forwarded-For is believed: [10.0.0.0/8, 2001:db8::/32]"},
    {TOP(log_level),          CONFIG_CHOICE,  0,       0, "info",
     .help = "debug, info, warn or error", .choices = "debug|info|warn|warning|error"},
    {TOP(log_format),         CONFIG_CHOICE,  0,       0, "text",
     .help = "text or json", .choices = "text|json"},
    {TOP(io_threads),         CONFIG_INT,     0,     256, "0",
     .help = "threads that own connections; 0: one per core"},
    {TOP(db_threads),         CONFIG_INT,     0,     256, "0",
     .help = "threads for storage and RSA signing; 0: 16 per core, 32 or two per core at most"},
    {TOP(hash_threads),       CONFIG_INT,     0,     256, "0",
     .help = "threads for password hashing; 0: one per core"},
    {TOP(queue_max),          CONFIG_INT,     1, 1000000, "1024",
     .help = "requests that may wait for such threads; more get 503"},
    {TOP(connections_max),    CONFIG_INT,     1, 1000000, "8192",
     .help = "open connections of each listener"},
    {TOP(request_size_limit), CONFIG_INT,     1, 1 << 30, "1048576",
     .help = "bytes of a request body"},
    {TOP(header_timeout_s),   CONFIG_INT,     1,    3600, "10",
     .help = "seconds a client has for its request line and headers"},
    {TOP(body_timeout_s),     CONFIG_INT,     1,    3600, "30",
     .help = "seconds a client has for its body"},
    {TOP(idle_timeout_s),     CONFIG_INT,     1,   86400, "120",
     .help = "seconds a connection may stay open without a request"},
    {TOP(stop_timeout_s),     CONFIG_INT,     0,    3600, "8",
     .help = "seconds a stop waits for requests under way"},

    /* key                                         type           min           max  default */
    TOKEN_KEYS("useradm", people)
    {PEOPLE(jwt_issuer),                          CONFIG_TEXT,   1,          255, "mender.useradm",
     .help = "the iss claim of new tokens"},
    {PEOPLE(jwt_exp_timeout),                     CONFIG_INT,    1, 100 * YEAR_S, "604800",
     .help = "seconds that a login lasts"},
    {USERADM(limit_sessions_per_user),             CONFIG_INT,    0,      1000000, "10",
     .help = "logins a user can have, the oldest gives way; 0: any number"},
    {USERADM(limit_tokens_per_user),               CONFIG_INT,    0,      1000000, "10",
     .help = "personal access tokens a user can have; 0: any number"},
    {USERADM(token_max_expiration_seconds),        CONFIG_INT,    INT64_MIN, 100 * YEAR_S, "31536000",
     .help = "seconds that a personal access token lasts at most; 0 or less: the default"},
    {USERADM(token_last_used_update_freq_minutes), CONFIG_INT,    0,       525600, "5",
     .help = "how often the last use of a personal access token is written; 0: never"},
    {USERADM(plan_definitions_path),               CONFIG_TEXT,   0,            0, "",
     .help = "plans, in .yaml or .json; empty or not there: the plan of the open source service",
     .linked = "/etc/useradm/plans.yaml"},
    {USERADM(bcrypt_cost),                         CONFIG_INT,    PASSWORD_COST_MIN, PASSWORD_COST_MAX, "10",
     .help = "the cost of new password hashes; lower ones are replaced as their users log in"},
    {USERADM(login_failures_delay_after),          CONFIG_INT,    0,         1000, "5",
     .help = "failed logins of an account from one network (/24, /64) before the next ones are delayed; 0: never"},
    {USERADM(login_failures_lock_after),           CONFIG_INT,    0,      1000000, "20",
     .help = "failed logins of an account from one network that lock it out there; 0: none do"},
    {USERADM(login_lock_seconds),                  CONFIG_INT,    1,  30 * 86400, "900",
     .help = "seconds that such a lock lasts"},
    {USERADM(login_account_lock_after),            CONFIG_INT,    0,      1000000, "100",
     .help = "failed logins from everywhere that lock an account for networks it was not used from; 0: none do"},
    {PEOPLE_LIMITS(enable),                       CONFIG_BOOL,   0,            0, "false",
     .help = "limit how often verified calls may come, in each process by itself"},
    {PEOPLE_LIMITS(reject_unmatched),             CONFIG_BOOL,   0,            0, "false",
     .help = "refuse calls that no pattern or no group takes"},
    {PEOPLE_LIMITS(groups),                       CONFIG_OBJECTS, 0,           0,
     "{\"name\":\"default\",\"quota\":300,\"interval\":\"1m\","
     "\"event_expression\":\"{{with .Identity}}{{.Subject}}{{end}}\"}",
     .help = "quotas: what event_expression renders to may come quota times in each interval"},
    {PEOPLE_LIMITS(match),                        CONFIG_OBJECTS, 0,           0,
     "{\"api_pattern\":\"/\",\"group_expression\":\"default\"}",
     .help = "the group that calls are counted in, by pattern"},

    {USERADM(request_size_limit), CONFIG_INT, 1, 1 << 30, NULL, .help = NULL},

    {"useradm", "listen", .type = CONFIG_LATER},
    {"useradm", "middleware", .type = CONFIG_LATER},
    {"useradm", "mongo", .type = CONFIG_STORE},
    {"useradm", "mongo_ssl", .type = CONFIG_STORE},
    {"useradm", "mongo_ssl_skipverify", .type = CONFIG_STORE},
    {"useradm", "mongo_username", .type = CONFIG_STORE},
    {"useradm", "mongo_password", .type = CONFIG_STORE},
    {"useradm", "redis_connection_string", .type = CONFIG_STORE},
    {"useradm", "redis_key_prefix", .type = CONFIG_STORE},

    TOKEN_KEYS("deviceauth", devices)
    {DEVICES(jwt_issuer),                          CONFIG_TEXT,   1,          255, "Mender",
     .help = "the iss claim of new tokens"},
    {DEVICES(jwt_exp_timeout),                     CONFIG_INT,    1, 100 * YEAR_S, "604800",
     .help = "seconds that a device's token lasts"},
    {DEVICEAUTH(min_device_rsa_bits),              CONFIG_INT,    1024,      8192, "1024",
     .help = "bits that the RSA key of a device needs at least"},
    {DEVICEAUTH(device_key_cache_entries),         CONFIG_INT,    0,     10000000, "4096",
     .help = "public keys of devices that are remembered; 0: none"},
    {DEVICEAUTH(inventory_view),                   CONFIG_BOOL,   0,            0, "true",
     .help = "serve what the user interface asks of inventory; false where there is a real one", .linked = "false"},
    {DEVICEAUTH(orchestrator_addr),                CONFIG_TEXT,   0,            0, "",
     .help = "the workflow engine, http://host:port; empty for none",
     .linked = "http://mender-workflows-server:8080/"},
    {DEVICEAUTH(orchestrator_timeout_s),           CONFIG_INT,    1,          300, "30",
     .help = "seconds that a call of the workflow engine may take"},
    {DEVICEAUTH(inventory_addr),                   CONFIG_TEXT,   0,            0, "",
     .help = "the inventory service, for its health; empty for none", .linked = "http://mender-inventory:8080/"},
    {DEVICEAUTH(tenantadm_addr),                   CONFIG_TEXT,   0,            0, "",
     .help = "the service that knows tenants by their tokens; empty: there is one tenant only"},
    {DEVICEAUTH(default_tenant_token),             CONFIG_TEXT,   0,            0, "",
     .help = "the tenant token of devices that send none, or one that is refused"},
    {DEVICEAUTH(have_addons),                      CONFIG_BOOL,   0,            0, "false",
     .help = "refuse devices what their tenant has no add-on for"},
    {DEVICEAUTH(legacy_provision_device),          CONFIG_BOOL,   0,            0, "false",
     .help = "tell the workflow engine when a device is accepted again"},
    {DEVICE_LIMITS(enable),                        CONFIG_BOOL,   0,            0, "false",
     .help = "limit how often verified calls may come, in each process by itself"},
    {DEVICE_LIMITS(reject_unmatched),              CONFIG_BOOL,   0,            0, "false",
     .help = "refuse calls that no pattern or no group takes"},
    {DEVICE_LIMITS(groups),                        CONFIG_OBJECTS, 0,           0,
     "{\"name\":\"default\",\"quota\":30,\"interval\":\"1m\","
     "\"event_expression\":\"{{with .Identity}}{{.Subject}}{{end}}\"}",
     .help = "quotas: what event_expression renders to may come quota times in each interval"},
    {DEVICE_LIMITS(match),                         CONFIG_OBJECTS, 0,           0,
     "{\"api_pattern\":\"/\",\"group_expression\":\"default\"}",
     .help = "the group that calls are counted in, by pattern"},

    {DEVICEAUTH(request_size_limit), CONFIG_INT, 1, 1 << 30, NULL, .help = NULL},

    {"deviceauth", "listen", .type = CONFIG_LATER},
    {"deviceauth", "middleware", .type = CONFIG_LATER},
    {"deviceauth", "mongo", .type = CONFIG_STORE},
    {"deviceauth", "mongo_ssl", .type = CONFIG_STORE},
    {"deviceauth", "mongo_ssl_skipverify", .type = CONFIG_STORE},
    {"deviceauth", "mongo_username", .type = CONFIG_STORE},
    {"deviceauth", "mongo_password", .type = CONFIG_STORE},
    {"deviceauth", "redis_connection_string", .type = CONFIG_STORE},
    {"deviceauth", "redis_addr", .type = CONFIG_STORE},
    {"deviceauth", "redis_key_prefix", .type = CONFIG_STORE},
    {"deviceauth", "redis_limits_expire_sec", .type = CONFIG_STORE},
    {"deviceauth", "redis_cache_expire_sec", .type = CONFIG_STORE},
    {"deviceauth", "enable_reporting", .type = CONFIG_LATER},
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
