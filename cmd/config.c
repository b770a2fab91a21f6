/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/config.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cmd/config_table.h"
#include "cmd/config_value.h"
#include "cmd/nearest.h"
#include "lib/auto.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/yaml.h"

enum { FILE_MAX = 1 << 20, PAT_LIFETIME_S = 31536000 };

/* One reading of one source. */
struct loader {
    struct config *config;
    const char *source; /* a file's name, "environment", "command line" */
    json_t *later;      /* names of keys that have no effect */
    json_t *store;
    json_t *unknown;
};

static enum err refuse(const char *source, const char *key, const char *why)
{
    log_error("invalid configuration", LOG_STR("source", source), LOG_STR("key", key), LOG_STR("reason", why));
    return ERR_CONFIG;
}

static bool is_linked(const struct config *config)
{
    return config->role != ROLE_MINTD;
}

/* The section whose keys stand at the top level of a link name's file, and its part of the environment. */
static const char *own_section(const struct config *config)
{
    return config->role == ROLE_DEVICEAUTH ? "deviceauth" : "useradm";
}

static bool is_section(const char *name)
{
    return strcmp(name, "useradm") == 0 || strcmp(name, "deviceauth") == 0;
}

/* Whether the key says anything to this program: under a link name the other service is not there. */
static bool is_used(const struct config *config, const struct config_key *key)
{
    return !is_linked(config) || *key->section == '\0' || strcmp(key->section, own_section(config)) == 0;
}

static void loader_release(struct loader *l)
{
    json_release(&l->later);
    json_release(&l->store);
    json_release(&l->unknown);
}

static struct loader loader_for(struct config *config, const char *source)
{
    return (struct loader){
        .config = config, .source = source, .later = json_array(), .store = json_array(), .unknown = json_array()};
}

/* One warning names all keys of a list. It is kept: only the whole configuration says what a line looks like. */
static void note(const struct loader *l, const json_t *names, const char *msg)
{
    AUTO(mem_free) char *text = mem_strdup("");
    for (size_t i = 0; i < json_array_size(names); i++) {
        char *longer = mem_printf("%s%s%s", text, i > 0 ? "," : "", json_string_value(json_array_get(names, i)));
        mem_free(&text);
        text = longer;
    }
    if (*text == '\0')
        return;
    const char *const parts[] = {msg, l->source, text};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        json_array_append_new(l->config->notes, json_string(parts[i]));
}

static void note_keys(const struct loader *l)
{
    note(l, l->store, "keys for MongoDB and Redis are ignored: storage is configured with db");
    note(l, l->later, "keys without effect here");
    note(l, l->unknown, "unknown configuration keys are ignored");
}

/* shown is the key as the operator wrote it. */
static enum err apply(struct loader *l, const struct config_key *key, const json_t *value, const char *shown)
{
    if (key->type == CONFIG_LATER || key->type == CONFIG_STORE) {
        json_array_append_new(key->type == CONFIG_LATER ? l->later : l->store, json_string(shown));
        return ERR_OK;
    }
    char why[CONFIG_VALUE_WHY_SIZE];
    if (config_value_set(l->config, key, value, why) != ERR_OK)
        return refuse(l->source, shown, why);
    if (key->type == CONFIG_OBJECTS)
        config_value_note(l->config, key, l->source, shown);
    return ERR_OK;
}

static enum err apply_text(struct loader *l, const struct config_key *key, const char *text, const char *shown)
{
    AUTO(json_release) json_t *value = json_string(text);
    if (value == NULL)
        return refuse(l->source, shown, "must be UTF-8");
    return apply(l, key, value, shown);
}

static const char *initial(const struct config *config, const struct config_key *key)
{
    if (config->role == ROLE_DEVICEAUTH && key->linked_devices != NULL)
        return key->linked_devices;
    return is_linked(config) && key->linked != NULL ? key->linked : key->initial;
}

static enum err set_defaults(struct config *config)
{
    AUTO(loader_release) struct loader l = loader_for(config, "defaults");
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        const char *text = initial(config, key);
        if (text != NULL)
            TRY(apply_text(&l, key, text, key->name));
    }
    return ERR_OK;
}

/* Under a link name the file is flat: the section's keys may stand at the top level. */
static const struct config_key *find_key(const struct config *config, const char *section, const char *name)
{
    const struct config_key *key = config_table_find(section, name);
    if (key == NULL && is_linked(config) && *section == '\0')
        key = config_table_find(own_section(config), name);
    return key;
}

/* The original ignores unknown keys; for mintd one is a slip that would otherwise go unseen. */
static enum err unknown_key(struct loader *l, const char *section, const char *shown, const char *name)
{
    if (is_linked(l->config)) {
        json_array_append_new(l->unknown, json_string(shown));
        return ERR_OK;
    }
    static const char *const places[][2] = {
        {"", "unknown key; it belongs to the top level"},
        {"useradm", "unknown key; it belongs into the section useradm"},
        {"deviceauth", "unknown key; it belongs into the section deviceauth"},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (config_table_find(places[i][0], name) != NULL)
            return refuse(l->source, shown, places[i][1]);
    struct nearest nearest = {.typed = name};
    for (const struct config_key *key = config_table; key->name != NULL; key++)
        if (strcmp(key->section, section) == 0)
            nearest_consider(&nearest, key->name);
    if (nearest.best == NULL)
        return refuse(l->source, shown, "unknown key");
    AUTO(mem_free) char *why = mem_printf("unknown key; did you mean %s?", nearest.best);
    return refuse(l->source, shown, why);
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether keys are called name.something. */
static bool is_map(const struct config *config, const char *section, const char *name)
{
    AUTO(mem_free) char *prefix = mem_printf("%s.", name);
    bool is_flat = is_linked(config) && *section == '\0';
    for (const struct config_key *key = config_table; key->name != NULL; key++)
        if (has_prefix(key->name, prefix) && strcmp(key->section, is_flat ? own_section(config) : section) == 0)
            return true;
    return false;
}

static enum err read_members(struct loader *l, const char *section, const char *prefix, const json_t *object);

static enum err read_member(struct loader *l, const char *section, const char *name, const json_t *value)
{
    bool is_top = *section == '\0';
    AUTO(mem_free) char *shown = is_top ? mem_strdup(name) : mem_printf("%s.%s", section, name);
    if (is_top && is_section(name)) {
        if (json_is_null(value))
            return ERR_OK;
        return json_is_object(value) ? read_members(l, name, "", value) : refuse(l->source, name, "must be a section");
    }
    if (is_map(l->config, section, name)) {
        AUTO(mem_free) char *prefix = mem_printf("%s.", name);
        if (json_is_null(value))
            return ERR_OK;
        return json_is_object(value) ? read_members(l, section, prefix, value)
                                     : refuse(l->source, shown, "must be a map");
    }
    const struct config_key *key = find_key(l->config, section, name);
    if (key == NULL)
        return unknown_key(l, section, shown, name);
    return json_is_null(value) ? ERR_OK : apply(l, key, value, shown);
}

static enum err read_members(struct loader *l, const char *section, const char *prefix, const json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        AUTO(mem_free) char *whole = mem_printf("%s%s", prefix, name);
        /* the original does not look at the case of keys */
        for (char *p = whole; is_linked(l->config) && *p != '\0'; p++)
            *p = (char)tolower((unsigned char)*p);
        TRY(read_member(l, section, whole, value));
    }
    return ERR_OK;
}

static enum err read_text(struct config *config, const char *source, const char *text, size_t len)
{
    char why[YAML_WHY_SIZE];
    AUTO(json_release) json_t *root = NULL;
    if (yaml_parse(text, len, why, &root) != ERR_OK) {
        log_error("invalid configuration", LOG_STR("source", source), LOG_STR("reason", why));
        return ERR_CONFIG;
    }
    if (!json_is_object(root)) {
        log_error("invalid configuration", LOG_STR("source", source), LOG_STR("reason", "not a list of keys"));
        return ERR_CONFIG;
    }
    AUTO(loader_release) struct loader l = loader_for(config, source);
    TRY(read_members(&l, "", "", root));
    note_keys(&l);
    return ERR_OK;
}

static enum err cannot_read(const char *file, const char *why)
{
    log_error("the configuration file cannot be read", LOG_STR("source", file), LOG_STR("reason", why));
    return ERR_CONFIG;
}

/* Formats that the original reads as well, known by their extension as it knows them. */
static bool is_foreign(const char *file)
{
    static const char *const extensions[] = {"toml", "hcl", "tfvars", "ini", "properties", "props", "env", "dotenv"};
    const char *dot = strrchr(file, '.');
    for (size_t i = 0; dot != NULL && i < sizeof extensions / sizeof *extensions; i++)
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return true;
    return false;
}

static enum err read_file(struct config *config, const char *file)
{
    if (is_foreign(file))
        return cannot_read(file, "its format is not supported: a configuration is YAML (.yaml, .yml) or JSON (.json)");
    AUTO(mem_wipe) char *text = NULL;
    size_t len = 0;
    const char *why = "";
    if (file_read(file, FILE_MAX, &text, &len, &why) != ERR_OK)
        return cannot_read(file, why);
    config->file = mem_strdup(file);
    return read_text(config, file, text, len);
}

static const char *environment(const char *prefix, const char *name, char **shown)
{
    *shown = mem_printf("%s%s", prefix, name);
    for (char *p = *shown; *p != '\0'; p++)
        *p = *p == '.' ? '_' : (char)toupper((unsigned char)*p);
    const char *value = getenv(*shown);
    return value != NULL && *value != '\0' ? value : NULL;
}

static enum err read_variable(struct loader *l, const struct config_key *key, const char *prefix)
{
    AUTO(mem_free) char *shown = NULL;
    const char *value = environment(prefix, key->name, &shown);
    return value != NULL ? apply_text(l, key, value, shown) : ERR_OK;
}

/* The original's LOG_LEVEL knows more levels, and nothing that it or LOG_FORMAT says stops the start. */
static enum err read_log_variables(struct loader *l)
{
    static const char *const levels[][2] = {{"trace", "debug"}, {"panic", "error"}, {"fatal", "error"}};
    static const char *const names[] = {
        [LOG_DEBUG] = "debug", [LOG_INFO] = "info", [LOG_WARN] = "warn", [LOG_ERROR] = "error"};
    const char *level = getenv("LOG_LEVEL");
    for (size_t i = 0; level != NULL && i < sizeof levels / sizeof *levels; i++)
        if (strcasecmp(level, levels[i][0]) == 0)
            level = levels[i][1];
    enum log_level known;
    if (level != NULL && log_level_parse(level, &known))
        TRY(apply_text(l, config_table_find("", "log_level"), names[known], "LOG_LEVEL"));
    const char *format = getenv("LOG_FORMAT");
    bool is_json = format != NULL && (strcmp(format, "json") == 0 || strcmp(format, "ndjson") == 0);
    return is_json ? apply_text(l, config_table_find("", "log_format"), "json", "LOG_FORMAT") : ERR_OK;
}

static const char *prefix_of(const struct config *config, const struct config_key *key)
{
    const char *section = *key->section != '\0' ? key->section : own_section(config);
    return strcmp(section, "deviceauth") == 0 ? "DEVICEAUTH_" : "USERADM_";
}

static enum err read_environment(struct config *config)
{
    AUTO(loader_release) struct loader l = loader_for(config, "environment");
    if (is_linked(config))
        TRY(read_log_variables(&l));
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        bool is_top = *key->section == '\0';
        bool is_alias = !is_top && config_table_find("", key->name) != NULL;
        if (is_top)
            TRY(read_variable(&l, key, "MINTD_"));
        if (is_used(config, key) && (is_linked(config) ? !is_alias : !is_top))
            TRY(read_variable(&l, key, prefix_of(config, key)));
    }
    note_keys(&l);
    return ERR_OK;
}

/* mintd without any word about keys keeps them in ./keys. */
static void settle(struct config *config)
{
    struct config_tokens *tokens = config->role == ROLE_DEVICEAUTH ? &config->devices : &config->people;
    if (*tokens->key_directory == '\0' && *tokens->server_priv_key_path == '\0') {
        mem_free(&tokens->key_directory);
        tokens->key_directory = mem_strdup("keys");
    }
}

static const struct config_tokens *tokens_of(const struct config *config, enum role service)
{
    return service == ROLE_DEVICEAUTH ? &config->devices : &config->people;
}

/* What is off may be wrong: the original does not look at it either. */
static enum err check_limits_of(const struct config *config, enum role service)
{
    struct ratelimit_config rules;
    if (!config_limits(config, service, &rules))
        return ERR_OK;
    rules.keys_max = 1;
    struct ratelimit_fault fault;
    AUTO(ratelimit_free) struct ratelimit *limit = NULL;
    if (ratelimit_new(&rules, &fault, &limit) == ERR_OK)
        return ERR_OK;
    const struct config_limits *limits = &tokens_of(config, service)->limits;
    const struct config_objects *at = strcmp(fault.list, "groups") == 0 ? &limits->groups : &limits->match;
    return refuse(at->source, at->key, fault.why);
}

static enum err check_limits(const struct config *config)
{
    TRY(check_limits_of(config, ROLE_USERADM));
    return check_limits_of(config, ROLE_DEVICEAUTH);
}

enum err config_load(enum role role, const char *file, struct config **out)
{
    AUTO(config_free) struct config *config = mem_calloc(1, sizeof *config);
    config->role = role;
    config->notes = json_array();
    TRY(set_defaults(config));
    if (file != NULL)
        TRY(read_file(config, file));
    TRY(read_environment(config));
    settle(config);
    TRY(check_limits(config));
    *out = MOVE(config);
    return ERR_OK;
}

void config_warn(const struct config *config)
{
    for (size_t i = 0; i + 2 < json_array_size(config->notes); i += 3)
        log_warn(json_string_value(json_array_get(config->notes, i)),
                 LOG_STR("source", json_string_value(json_array_get(config->notes, i + 1))),
                 LOG_STR("keys", json_string_value(json_array_get(config->notes, i + 2))));
}

void config_free(struct config **config)
{
    if (*config == NULL)
        return;
    for (const struct config_key *key = config_table; key->name != NULL; key++)
        config_value_release(*config, key);
    json_release(&(*config)->notes);
    mem_free(&(*config)->file);
    free(*config);
    *config = NULL;
}

enum err config_parse(enum role role, const char *text, size_t len, struct config **out)
{
    AUTO(config_free) struct config *config = mem_calloc(1, sizeof *config);
    config->role = role;
    config->notes = json_array();
    TRY(set_defaults(config));
    TRY(read_text(config, "text", text, len));
    settle(config);
    TRY(check_limits(config));
    *out = MOVE(config);
    return ERR_OK;
}

enum err config_set(struct config *config, const char *name, const char *value)
{
    AUTO(loader_release) struct loader l = loader_for(config, "command line");
    const char *dot = strchr(name, '.');
    AUTO(mem_free) char *section = mem_strndup(name, dot != NULL ? (size_t)(dot - name) : 0);
    const struct config_key *key = find_key(config, section, dot != NULL ? dot + 1 : name);
    return key != NULL ? apply_text(&l, key, value, name) : refuse(l.source, name, "unknown key");
}

void config_print(const struct config *config, FILE *out)
{
    const char *section = "";
    for (const struct config_key *key = config_table; key->name != NULL; key++) {
        if (key->help == NULL || !is_used(config, key))
            continue;
        if (strcmp(section, key->section) != 0) {
            section = key->section;
            fprintf(out, is_linked(config) ? "\n" : "\n%s:\n", section);
        }
        bool is_inside = *section != '\0' && !is_linked(config);
        fprintf(out, "%s# %s\n%s%s: ", is_inside ? "    " : "", key->help, is_inside ? "    " : "", key->name);
        config_value_print(config, key, out);
        fputc('\n', out);
    }
}

bool config_shares_keys(const struct config *config)
{
    return config->role == ROLE_MINTD && *config->devices.key_directory == '\0' &&
           *config->devices.server_priv_key_path == '\0';
}

const struct config_tokens *config_keys(const struct config *config, enum role service)
{
    return tokens_of(config, config_shares_keys(config) ? ROLE_USERADM : service);
}

/* The values were checked when they were set. */
static enum key_alg rsa_algorithm(const struct config_tokens *tokens)
{
    enum key_alg alg = KEY_RS256;
    return key_alg_parse(tokens->rsa_algorithm, &alg) == ERR_OK ? alg : KEY_RS256;
}

void config_keyring(const struct config *config, enum role service, struct keyring_config *out)
{
    const struct config_tokens *tokens = tokens_of(config, service);
    *out = (struct keyring_config){
        .name = service == ROLE_DEVICEAUTH ? "deviceauth" : "useradm",
        .dir = *tokens->key_directory != '\0' ? tokens->key_directory : NULL,
        .signing_path = tokens->server_priv_key_path,
        .default_path = tokens->default_key_path,
        .fallback_path = tokens->server_fallback_priv_key_path,
        .pattern = tokens->server_priv_key_filename_pattern,
        .pattern_unanchored = tokens->pattern_compat,
        .strict_permissions = tokens->strict_key_permissions,
        .rsa_alg = rsa_algorithm(tokens),
        .algs = tokens->key_algorithms.alg,
        .algs_count = tokens->key_algorithms.n,
        .keys_max = (size_t)tokens->keys_max,
    };
}

bool config_limits(const struct config *config, enum role service, struct ratelimit_config *out)
{
    const struct config_limits *limits = &tokens_of(config, service)->limits;
    *out = (struct ratelimit_config){
        .reject_unmatched = limits->reject_unmatched,
        .groups = limits->groups.list,
        .match = limits->match.list,
    };
    return limits->enable;
}

void config_issuer(const struct config *config, enum role service, struct issuer_config *out)
{
    const struct config_tokens *tokens = tokens_of(config, service);
    int64_t pat_lifetime = config->token_max_expiration_seconds;
    *out = (struct issuer_config){
        .kind = service == ROLE_DEVICEAUTH ? ISSUER_DEVICES : ISSUER_PEOPLE,
        .iss = tokens->jwt_issuer,
        .accepted = (const char *const *)tokens->accepted_issuers.item,
        .lifetime_s = tokens->jwt_exp_timeout,
        .leeway_s = tokens->jwt_leeway,
        .cache_entries = (size_t)tokens->token_cache_entries,
        .cache_bytes = (size_t)tokens->token_cache_bytes,
        .sessions_max = config->limit_sessions_per_user,
        .pats_max = config->limit_tokens_per_user,
        .pat_lifetime_max_s = pat_lifetime > 0 ? pat_lifetime : PAT_LIFETIME_S,
        .last_used_every_s = config->token_last_used_update_freq_minutes * 60,
        .guard = {.delay_after = config->login_failures_delay_after,
                  .lock_after = config->login_failures_lock_after,
                  .lock_s = config->login_lock_seconds,
                  .account_lock_after = config->login_account_lock_after},
    };
}

struct net *config_proxies(const struct config *config, size_t *n)
{
    const struct config_list *list = &config->trusted_proxies;
    struct net *nets = mem_calloc(list->n + 1, sizeof *nets);
    *n = 0;
    for (size_t i = 0; i < list->n; i++)
        *n += net_parse(list->item[i], &nets[*n]);
    return nets;
}
