/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/config_table.h"
#include "cmd/nearest.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

static struct config *parse(enum role role, const char *text)
{
    struct config *config = NULL;
    enum err e = config_parse(role, text, strlen(text), &config);
    AUTO(mem_free) char *log = support_log();
    ck_assert_msg(e == ERR_OK, "%s: %s", text, log);
    config_warn(config);
    return config;
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

/* Both parts stand in the one line that was logged since. */
static void logged_once(const char *part, const char *other)
{
    AUTO(mem_free) char *log = support_log();
    ck_assert_msg(strstr(log, part) != NULL, "\"%s\" is not in \"%s\"", part, log);
    ck_assert_msg(strstr(log, other) != NULL, "\"%s\" is not in \"%s\"", other, log);
    ck_assert_msg(lines(log) == 1, "not one line: \"%s\"", log);
    support_log_capture();
}

static void refuses(enum role role, const char *text, const char *part, const char *other)
{
    struct config *config = NULL;
    ck_err(config_parse(role, text, strlen(text), &config), ERR_CONFIG);
    ck_assert_ptr_null(config);
    logged_once(part, other);
}

static char *print(const struct config *config)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    config_print(config, out);
    fclose(out);
    return text;
}

/* No variable of the caller's environment may count. */
static void set_up(void)
{
    clearenv();
    support_log_capture();
}

START_TEST(has_defaults_for_mintd)
{
    AUTO(config_free) struct config *c = parse(ROLE_MINTD, "");
    ck_assert_str_eq(c->db, "sqlite:mintd.db");
    ck_assert_str_eq(c->listen, ":8080");
    ck_assert_str_eq(c->internal_listen, "127.0.0.1:8081");
    ck_assert(!c->trust_gateway);
    ck_assert_str_eq(c->people.key_directory, "keys");
    ck_assert_str_eq(c->people.server_priv_key_path, "");
    ck_assert_str_eq(c->people.server_priv_key_filename_pattern, "private\\.id\\.([0-9]*)\\.pem");
    ck_assert_str_eq(c->people.jwt_issuer, "mender.useradm");
    ck_assert_int_eq(c->people.jwt_exp_timeout, 604800);
    ck_assert_int_eq(c->limit_sessions_per_user, 10);
    ck_assert_int_eq(c->bcrypt_cost, 10);
    ck_assert_uint_eq(c->people.accepted_issuers.n, 0);
}
END_TEST

START_TEST(has_the_originals_defaults_under_its_name)
{
    AUTO(config_free) struct config *c = parse(ROLE_USERADM, "");
    ck_assert_str_eq(c->listen, ":8080");
    ck_assert_str_eq(c->internal_listen, "");
    ck_assert(c->trust_gateway);
    ck_assert_str_eq(c->people.server_priv_key_path, "/etc/useradm/rsa/private.pem");
    ck_assert_str_eq(c->people.key_directory, "");
    ck_assert_str_eq(c->db, "sqlite:/var/lib/useradm/useradm.db");
}
END_TEST

START_TEST(reads_every_type)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_MINTD, "trust_gateway: yes\nlisten: '[::1]:0'\nio_threads: 3\nlog_format: json\n"
                                         "useradm:\n  jwt_issuer: example.org\n  accepted_issuers: [a, b]\n"
                                         "  key_algorithms: {7: PS256, 0: RS512}\n  jwt_leeway: 5\n");
    ck_assert(c->trust_gateway);
    ck_assert_str_eq(c->listen, "[::1]:0");
    ck_assert_int_eq(c->io_threads, 3);
    ck_assert_str_eq(c->log_format, "json");
    ck_assert_str_eq(c->people.jwt_issuer, "example.org");
    ck_assert_uint_eq(c->people.accepted_issuers.n, 2);
    ck_assert_str_eq(c->people.accepted_issuers.item[1], "b");
    ck_assert_ptr_null(c->people.accepted_issuers.item[2]);
    ck_assert_uint_eq(c->people.key_algorithms.n, 2);
    ck_assert_int_eq(c->people.key_algorithms.alg[0].kid, 7);
    ck_assert_int_eq(c->people.key_algorithms.alg[0].alg, KEY_PS256);
    ck_assert_int_eq(c->people.jwt_leeway, 5);
}
END_TEST

START_TEST(reads_the_flat_file_under_the_link_name)
{
    AUTO(config_free)
    struct config *c =
        parse(ROLE_USERADM, "listen: :9000\njwt_issuer: acme\nrequest_size_limit: 5\nuseradm:\n  jwt_leeway: 1");
    ck_assert_str_eq(c->listen, ":9000");
    ck_assert_str_eq(c->people.jwt_issuer, "acme");
    ck_assert_int_eq(c->request_size_limit, 5);
    ck_assert_int_eq(c->people.jwt_leeway, 1);
}
END_TEST

START_TEST(keys_have_no_case_under_the_link_name)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_USERADM, "Listen: :9000\nJWT_ISSUER: Acme\nUserAdm: {Jwt_Leeway: 2}\n");
    ck_assert_str_eq(c->listen, ":9000");
    ck_assert_str_eq(c->people.jwt_issuer, "Acme");
    ck_assert_int_eq(c->people.jwt_leeway, 2);
    refuses(ROLE_MINTD, "Listen: :9000", "key=Listen", "did you mean listen?");
}
END_TEST

START_TEST(leaves_defaults_where_a_key_is_empty)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_MINTD, "listen:\nuseradm:\n  jwt_issuer: ~\ndeviceauth:\n  jwt_issuer:\n");
    ck_assert_str_eq(c->listen, ":8080");
    ck_assert_str_eq(c->people.jwt_issuer, "mender.useradm");
    AUTO(config_free) struct config *empty = parse(ROLE_MINTD, "useradm:\n");
    ck_assert_str_eq(empty->people.jwt_issuer, "mender.useradm");
}
END_TEST

START_TEST(devices_have_a_section_of_their_own)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_MINTD, "useradm:\n  jwt_issuer: people\ndeviceauth:\n  jwt_issuer: devices\n"
                                         "  min_device_rsa_bits: 2048\n  orchestrator_addr: http://w:1/\n");
    ck_assert_str_eq(c->people.jwt_issuer, "people");
    ck_assert_str_eq(c->devices.jwt_issuer, "devices");
    ck_assert_int_eq(c->min_device_rsa_bits, 2048);
    ck_assert_str_eq(c->orchestrator_addr, "http://w:1/");
    ck_assert(config_shares_keys(c));
    AUTO(config_free) struct config *apart = parse(ROLE_MINTD, "deviceauth:\n  key_directory: /d\n");
    ck_assert(!config_shares_keys(apart));
    struct keyring_config ring;
    config_keyring(apart, ROLE_DEVICEAUTH, &ring);
    ck_assert_str_eq(ring.dir, "/d");
    refuses(ROLE_MINTD, "deviceauth:\n  bcrypt_cost: 4", "key=deviceauth.bcrypt_cost", "section useradm");
    refuses(ROLE_MINTD, "orchestrator_addr: x", "key=orchestrator_addr", "section deviceauth");
}
END_TEST

START_TEST(the_link_name_deviceauth_has_the_originals_defaults)
{
    AUTO(config_free) struct config *c = parse(ROLE_DEVICEAUTH, "jwt_exp_timeout: 61\nmongo: mongodb://x\n");
    ck_assert_int_eq(c->devices.jwt_exp_timeout, 61);
    ck_assert_str_eq(c->devices.server_priv_key_path, "/etc/deviceauth/rsa/private.pem");
    ck_assert_str_eq(c->devices.jwt_issuer, "Mender");
    ck_assert_str_eq(c->orchestrator_addr, "http://mender-workflows-server:8080/");
    ck_assert_str_eq(c->db, "sqlite:/var/lib/deviceauth/deviceauth.db");
    ck_assert(c->trust_gateway);
    ck_assert(!config_shares_keys(c));
    AUTO(mem_free) char *first = print(c);
    AUTO(config_free) struct config *again = parse(ROLE_DEVICEAUTH, first);
    AUTO(mem_free) char *second = print(again);
    ck_assert_str_eq(first, second);
    ck_assert_ptr_nonnull(strstr(first, "jwt_exp_timeout: 61"));
    ck_assert_ptr_null(strstr(first, "bcrypt_cost"));
}
END_TEST

START_TEST(refuses_unknown_keys)
{
    refuses(ROLE_MINTD, "listne: :80", "key=listne", "did you mean listen?");
    refuses(ROLE_MINTD, "useradm: {jwt_isuer: x}", "key=useradm.jwt_isuer", "did you mean jwt_issuer?");
    refuses(ROLE_MINTD, "jwt_issuer: x", "key=jwt_issuer", "belongs into the section useradm");
    refuses(ROLE_MINTD, "useradm: {trust_gateway: true}", "key=useradm.trust_gateway", "belongs to the top level");
    refuses(ROLE_MINTD, "zzz: 1", "key=zzz", "unknown key");
}
END_TEST

START_TEST(ignores_unknown_keys_under_the_link_name_with_a_warning)
{
    AUTO(config_free) struct config *c = parse(ROLE_USERADM, "no_such_key: 1\njwt_issuer: x\ntotp_issuer: {a: b}");
    ck_assert_str_eq(c->people.jwt_issuer, "x");
    logged_once("keys=no_such_key,totp_issuer", "unknown configuration keys are ignored");
}
END_TEST

START_TEST(names_mongodb_and_redis_keys_once)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_MINTD, "useradm:\n  mongo: mongodb://m\n  mongo_password: hunter2hunter2\n"
                                         "  redis_connection_string: redis://r\n");
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(c);
    ck_assert_ptr_null(strstr(log, "hunter2"));
    logged_once("keys for MongoDB and Redis", "useradm.mongo,useradm.mongo_password,useradm.redis_connection_string");
}
END_TEST

START_TEST(accepts_the_originals_other_keys)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_USERADM, "middleware: dev\nlisten: ':1'\n");
    ck_assert_str_eq(c->people.jwt_issuer, "mender.useradm");
    logged_once("without effect", "middleware");
}
END_TEST

static const struct config_limits *limits_of(enum role role, const char *text, struct config **out)
{
    config_free(out);
    *out = parse(role, text);
    return &(*out)->people.limits;
}

static const char *text_at(const struct config_objects *objects, size_t i, const char *name)
{
    return json_string_value(json_object_get(json_array_get(objects->list, i), name));
}

START_TEST(has_the_originals_rate_limits)
{
    AUTO(config_free) struct config *c = NULL;
    const struct config_limits *limits = limits_of(ROLE_MINTD, "", &c);
    ck_assert(!limits->enable);
    ck_assert(!limits->reject_unmatched);
    ck_assert_uint_eq(json_array_size(limits->groups.list), 1);
    ck_assert_str_eq(text_at(&limits->groups, 0, "name"), "default");
    ck_assert_str_eq(text_at(&limits->groups, 0, "quota"), "300");
    ck_assert_str_eq(text_at(&limits->groups, 0, "interval"), "1m");
    ck_assert_str_eq(text_at(&limits->groups, 0, "event_expression"), "{{with .Identity}}{{.Subject}}{{end}}");
    ck_assert_str_eq(text_at(&limits->match, 0, "api_pattern"), "/");
    ck_assert_str_eq(text_at(&limits->match, 0, "group_expression"), "default");
    struct ratelimit_config rules;
    ck_assert(!config_limits(c, ROLE_USERADM, &rules));
    limits_of(ROLE_MINTD, "useradm: {rate_limits: {auth: {enable: true}}}", &c);
    ck_assert(config_limits(c, ROLE_USERADM, &rules));
}
END_TEST

#define GROUP_X "name: x, quota: 5, interval: 30s, event_expression: ''"
#define MATCH_X "api_pattern: GET /a/, group_expression: x"
#define AUTH_X "auth: {enable: true, reject_unmatched: yes, groups: [{" GROUP_X "}], match: [{" MATCH_X "}]}"

START_TEST(reads_rate_limits_in_every_spelling)
{
    static const struct {
        enum role role;
        const char *text;
    } files[] = {
        {ROLE_MINTD, "useradm: {rate_limits: {" AUTH_X "}}"},
        {ROLE_MINTD, "useradm: {rate_limits.auth.enable: true, rate_limits.auth.reject_unmatched: true,"
                     " rate_limits.auth.groups: [{" GROUP_X "}], rate_limits.auth.match: [{" MATCH_X "}]}"},
        {ROLE_USERADM, "rate_limits:\n  " AUTH_X},
        {ROLE_USERADM, "useradm: {rate_limits: {" AUTH_X "}}"},
    };
    AUTO(config_free) struct config *c = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const struct config_limits *limits = limits_of(files[i].role, files[i].text, &c);
        ck_assert(limits->enable);
        ck_assert(limits->reject_unmatched);
        ck_assert_str_eq(text_at(&limits->groups, 0, "name"), "x");
        ck_assert_str_eq(text_at(&limits->groups, 0, "quota"), "5");
        ck_assert_str_eq(text_at(&limits->match, 0, "api_pattern"), "GET /a/");
    }
    const struct config_limits *none = limits_of(ROLE_USERADM, "rate_limits:\n", &c);
    ck_assert(!none->enable);
}
END_TEST

/* What the environment of the original may say. */
static const char *const group_texts[] = {
    "{\"name\":\"a\",\"quota\":1,\"interval\":\"1s\",\"event_expression\":\"\"}"
    "{\"name\":\"b\",\"quota\":\"2\",\"interval\":\"1s\",\"event_expression\":\"{}\"}",
    " {\"name\":\"a\",\"quota\":1,\"interval\":\"1s\",\"event_expression\":\"\"} \n\n"
    "{\"name\":\"b\",\"quota\":2,\"interval\":\"1s\",\"event_expression\":\"\"}\n",
    "[{\"name\":\"a\",\"quota\":1,\"interval\":\"1s\",\"event_expression\":\"\"},"
    "{\"name\":\"b\",\"quota\":2,\"interval\":\"1s\",\"event_expression\":\"\"}]",
};

START_TEST(reads_rate_limits_from_the_environment)
{
    setenv("USERADM_RATE_LIMITS_AUTH_ENABLE", "true", 1);
    setenv("USERADM_RATE_LIMITS_AUTH_GROUPS", group_texts[_i], 1);
    setenv("USERADM_RATE_LIMITS_AUTH_MATCH", "{\"api_pattern\":\"/\",\"group_expression\":\"b\"}", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(_i == 0 ? ROLE_MINTD : ROLE_USERADM, NULL, &c));
    ck_assert_uint_eq(json_array_size(c->people.limits.groups.list), 2);
    ck_assert_str_eq(text_at(&c->people.limits.groups, 0, "name"), "a");
    ck_assert_str_eq(text_at(&c->people.limits.groups, 1, "quota"), "2");
    AUTO(mem_free) char *printed = print(c);
    ck_assert_ptr_nonnull(strstr(printed, "rate_limits.auth.groups: [{\"name\": \"a\", \"quota\": 1, "));
    AUTO(config_free) struct config *again = parse(_i == 0 ? ROLE_MINTD : ROLE_USERADM, printed);
    AUTO(mem_free) char *second = print(again);
    ck_assert_str_eq(printed, second);
}
END_TEST

START_TEST(names_the_source_of_a_bad_rate_limit)
{
    setenv("USERADM_RATE_LIMITS_AUTH_ENABLE", "true", 1);
    setenv("USERADM_RATE_LIMITS_AUTH_MATCH", "{\"api_pattern\":\"/\",\"group_expression\":\"gold\"}", 1);
    struct config *c = NULL;
    ck_err(config_load(ROLE_MINTD, NULL, &c), ERR_CONFIG);
    logged_once("source=environment key=USERADM_RATE_LIMITS_AUTH_MATCH", "there is no such group");
    setenv("USERADM_RATE_LIMITS_AUTH_MATCH", "{\"api_pattern\":\"/\"", 1);
    ck_err(config_load(ROLE_MINTD, NULL, &c), ERR_CONFIG);
    logged_once("key=USERADM_RATE_LIMITS_AUTH_MATCH", "JSON objects one after another");
    unsetenv("USERADM_RATE_LIMITS_AUTH_MATCH");
    setenv("USERADM_RATE_LIMITS_AUTH_ENABLE", "false", 1);
    setenv("USERADM_RATE_LIMITS_AUTH_GROUPS", "{\"what\":\"ever\"}", 1);
    ck_ok(config_load(ROLE_USERADM, NULL, &c));
    config_free(&c);
}
END_TEST

START_TEST(limits_of_personal_access_tokens_reach_the_issuer)
{
    static const struct {
        const char *text;
        int64_t max, lifetime;
    } cases[] = {
        {"", 10, 31536000},
        {"useradm: {limit_tokens_per_user: 0, token_max_expiration_seconds: 60}", 0, 60},
        {"useradm: {limit_tokens_per_user: 3, token_max_expiration_seconds: 0}", 3, 31536000},
        {"useradm: {token_max_expiration_seconds: -1}", 10, 31536000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(config_free) struct config *c = parse(ROLE_MINTD, cases[i].text);
        struct issuer_config issuer;
        config_issuer(c, ROLE_USERADM, &issuer);
        ck_assert_int_eq(issuer.pats_max, cases[i].max);
        ck_assert_int_eq(issuer.pat_lifetime_max_s, cases[i].lifetime);
    }
}
END_TEST

/* What does not fit, and what the message must name. */
static const struct {
    const char *text, *key, *why;
} misfits[] = {
    {"useradm: {jwt_exp_timeout: 0}", "key=useradm.jwt_exp_timeout", "is 0, must be a whole number from 1 to"},
    {"useradm: {jwt_exp_timeout: -5}", "key=useradm.jwt_exp_timeout", "is -5"},
    {"useradm: {jwt_leeway: 301}", "key=useradm.jwt_leeway", "is 301, must be a whole number from 0 to 300"},
    {"useradm: {jwt_leeway: 1s}", "key=useradm.jwt_leeway", "is 1s, must be a whole number from 0 to 300"},
    {"useradm: {jwt_leeway: ' 1'}", "key=useradm.jwt_leeway", "must be a whole number"},
    {"useradm: {jwt_leeway: 0x10}", "key=useradm.jwt_leeway", "must be a whole number"},
    {"useradm: {jwt_leeway: ''}", "key=useradm.jwt_leeway", "must be a whole number"},
    {"useradm: {jwt_leeway: 99999999999999999999}", "key=useradm.jwt_leeway", "must be a whole number"},
    {"useradm: {bcrypt_cost: 3}", "key=useradm.bcrypt_cost", "from 4 to 16"},
    {"useradm: {bcrypt_cost: 17}", "key=useradm.bcrypt_cost", "from 4 to 16"},
    {"useradm: {jwt_issuer: ''}", "key=useradm.jwt_issuer", "must not be empty"},
    {"useradm: {jwt_issuer: [a]}", "key=useradm.jwt_issuer", "must be a single value"},
    {"useradm: {rsa_algorithm: ES256}", "key=useradm.rsa_algorithm", "must be one of RS256|"},
    {"useradm: {rsa_algorithm: RS25}", "key=useradm.rsa_algorithm", "must be one of RS256|"},
    {"useradm: {rsa_algorithm: ''}", "key=useradm.rsa_algorithm", "must be one of RS256|"},
    {"useradm: {key_algorithms: {7: ES256}}", "key=useradm.key_algorithms", "ES256 for key 7"},
    {"useradm: {key_algorithms: {07: RS256}}", "key=useradm.key_algorithms", "key id 07"},
    {"useradm: {key_algorithms: {2147483648: RS256}}", "key=useradm.key_algorithms", "key id 2147483648"},
    {"useradm: {key_algorithms: 7}", "key=useradm.key_algorithms", "7=PS256"},
    {"useradm: {key_algorithms: {7: [RS256]}}", "key=useradm.key_algorithms", "no text for key 7"},
    {"useradm: {accepted_issuers: {a: b}}", "key=useradm.accepted_issuers", "must be a list"},
    {"useradm: {accepted_issuers: [[a]]}", "key=useradm.accepted_issuers", "must be a list"},
    {"useradm: 1", "key=useradm", "must be a section"},
    {"useradm: {rate_limits: true}", "key=useradm.rate_limits", "must be a map"},
    {"useradm: {rate_limits: {auth: [x]}}", "key=useradm.rate_limits.auth", "must be a map"},
    {"useradm: {rate_limits: {auth: {enabel: true}}}", "key=useradm.rate_limits.auth.enabel",
     "did you mean rate_limits.auth.enable?"},
    {"useradm: {rate_limits: {auth: {groups: {a: b}}}}", "key=useradm.rate_limits.auth.groups", "must be a list"},
    {"useradm: {rate_limits: {auth: {groups: [x]}}}", "key=useradm.rate_limits.auth.groups", "[0] must be a map"},
    {"useradm: {rate_limits: {auth: {groups: [{}, {a: [b]}]}}}", "key=useradm.rate_limits.auth.groups",
     "[1].a must be a single value"},
    {"useradm: {rate_limits: {auth: {enable: true, groups: [{}]}}}", "key=useradm.rate_limits.auth.groups",
     "[0].name is missing"},
    {"useradm: {rate_limits: {auth: {enable: true, match: [{api_pattern: a, group_expression: default}]}}}",
     "source=text key=useradm.rate_limits.auth.match", "[0].api_pattern is a: there is no / in it"},
    {"trust_gateway: maybe", "key=trust_gateway", "is maybe, must be true or false"},
    {"listen: 8080", "key=listen", "is 8080, must be host:port"},
    {"listen: ''", "key=listen", "must not be empty"},
    {"listen: ':65536'", "key=listen", "must be host:port"},
    {"listen: ':-1'", "key=listen", "must be host:port"},
    {"listen: '::1:80'", "key=listen", "must be host:port"},
    {"listen: '[::1:80'", "key=listen", "must be host:port"},
    {"listen: '[::1]x:80'", "key=listen", "must be host:port"},
    {"listen: 'a]:80'", "key=listen", "must be host:port"},
    {"log_level: loud", "key=log_level", "must be one of debug|"},
    {"db: ''", "key=db", "must not be empty"},
};

START_TEST(refuses_values_that_do_not_fit)
{
    refuses(ROLE_MINTD, misfits[_i].text, misfits[_i].key, misfits[_i].why);
}
END_TEST

START_TEST(refuses_what_is_no_list_of_keys)
{
    refuses(ROLE_MINTD, "- a\n", "source=text", "not a list of keys");
    refuses(ROLE_MINTD, "listen: [\n", "source=text", "line 2, column 1");
    refuses(ROLE_MINTD, "listen: :1\nlisten: :2\n", "line 2, column 1", "there already");
}
END_TEST

START_TEST(prefers_environment_to_file_and_flag_to_both)
{
    AUTO(mem_free) char *file = support_path(support_dir(), "mintd.yaml");
    const char text[] = "listen: :1\ndb: sqlite:file.db\nuseradm:\n  jwt_issuer: file\n  jwt_leeway: 9\n";
    support_write(file, text, sizeof text - 1, 0600);
    setenv("MINTD_LISTEN", ":2", 1);
    setenv("MINTD_DB", "", 1);
    setenv("USERADM_JWT_ISSUER", "env", 1);
    setenv("USERADM_KEY_ALGORITHMS", "7=PS256, 8=RS512", 1);
    setenv("USERADM_ACCEPTED_ISSUERS", "a , b,,c", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_MINTD, file, &c));
    ck_assert_str_eq(c->file, file);
    ck_assert_str_eq(c->listen, ":2");
    ck_assert_str_eq(c->db, "sqlite:file.db");
    ck_assert_str_eq(c->people.jwt_issuer, "env");
    ck_assert_int_eq(c->people.jwt_leeway, 9);
    ck_assert_uint_eq(c->people.key_algorithms.n, 2);
    ck_assert_int_eq(c->people.key_algorithms.alg[1].alg, KEY_RS512);
    ck_assert_uint_eq(c->people.accepted_issuers.n, 3);
    ck_assert_str_eq(c->people.accepted_issuers.item[0], "a");
    ck_ok(config_set(c, "listen", ":3"));
    ck_ok(config_set(c, "useradm.jwt_issuer", "flag"));
    ck_assert_str_eq(c->listen, ":3");
    ck_assert_str_eq(c->people.jwt_issuer, "flag");
}
END_TEST

START_TEST(takes_the_roles_own_variables_under_the_link_name)
{
    setenv("MINTD_LISTEN", ":2", 1);
    setenv("USERADM_LISTEN", ":3", 1);
    setenv("MINTD_DB", "sqlite:a", 1);
    setenv("USERADM_REQUEST_SIZE_LIMIT", "77", 1);
    setenv("LOG_LEVEL", "trace", 1);
    setenv("LOG_FORMAT", "ndjson", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_USERADM, NULL, &c));
    ck_assert_str_eq(c->listen, ":3");
    ck_assert_str_eq(c->db, "sqlite:a");
    ck_assert_int_eq(c->request_size_limit, 77);
    ck_assert_str_eq(c->log_level, "debug");
    ck_assert_str_eq(c->log_format, "json");
}
END_TEST

/* The names of contract/useradm 7, each as the original's environment spells it. */
START_TEST(every_key_of_the_original_has_a_variable)
{
    static const char *const names[][2] = {
        {"USERADM_LISTEN", ":1"},
        {"USERADM_MIDDLEWARE", "prod"},
        {"USERADM_SERVER_PRIV_KEY_PATH", "/k.pem"},
        {"USERADM_SERVER_PRIV_KEY_FILENAME_PATTERN", "k([0-9]+)"},
        {"USERADM_SERVER_FALLBACK_PRIV_KEY_PATH", "/f.pem"},
        {"USERADM_JWT_ISSUER", "acme"},
        {"USERADM_JWT_EXP_TIMEOUT", "61"},
        {"USERADM_MONGO", "mongodb://m"},
        {"USERADM_MONGO_SSL", "true"},
        {"USERADM_MONGO_SSL_SKIPVERIFY", "true"},
        {"USERADM_MONGO_USERNAME", "joe"},
        {"USERADM_MONGO_PASSWORD", "hunter2hunter2"},
        {"USERADM_REDIS_CONNECTION_STRING", "redis://r"},
        {"USERADM_REDIS_KEY_PREFIX", "p"},
        {"USERADM_LIMIT_SESSIONS_PER_USER", "3"},
        {"USERADM_LIMIT_TOKENS_PER_USER", "4"},
        {"USERADM_TOKEN_LAST_USED_UPDATE_FREQ_MINUTES", "6"},
        {"USERADM_TOKEN_MAX_EXPIRATION_SECONDS", "7"},
        {"USERADM_PLAN_DEFINITIONS_PATH", "/p.yaml"},
        {"USERADM_REQUEST_SIZE_LIMIT", "8"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i][0], names[i][1], 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_USERADM, NULL, &c));
    ck_assert_str_eq(c->listen, ":1");
    ck_assert_str_eq(c->people.server_priv_key_path, "/k.pem");
    ck_assert_str_eq(c->people.server_priv_key_filename_pattern, "k([0-9]+)");
    ck_assert_str_eq(c->people.server_fallback_priv_key_path, "/f.pem");
    ck_assert_str_eq(c->people.jwt_issuer, "acme");
    ck_assert_int_eq(c->people.jwt_exp_timeout, 61);
    ck_assert_int_eq(c->limit_sessions_per_user, 3);
    ck_assert_int_eq(c->limit_tokens_per_user, 4);
    ck_assert_int_eq(c->token_last_used_update_freq_minutes, 6);
    ck_assert_int_eq(c->token_max_expiration_seconds, 7);
    ck_assert_str_eq(c->plan_definitions_path, "/p.yaml");
    ck_assert_int_eq(c->request_size_limit, 8);
    config_warn(c);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "keys=USERADM_MONGO,USERADM_MONGO_SSL,USERADM_MONGO_SSL_SKIPVERIFY,"
                                      "USERADM_MONGO_USERNAME,USERADM_MONGO_PASSWORD,USERADM_REDIS_CONNECTION_STRING,"
                                      "USERADM_REDIS_KEY_PREFIX\n"));
    ck_assert_ptr_nonnull(strstr(log, "keys=USERADM_MIDDLEWARE\n"));
    ck_assert_uint_eq(lines(log), 2);
    ck_assert_ptr_null(strstr(log, "hunter2"));
}
END_TEST

START_TEST(has_the_originals_other_defaults)
{
    AUTO(config_free) struct config *c = parse(ROLE_USERADM, "");
    ck_assert_str_eq(c->people.server_priv_key_filename_pattern, "private\\.id\\.([0-9]*)\\.pem");
    ck_assert_str_eq(c->people.server_fallback_priv_key_path, "");
    ck_assert_str_eq(c->people.jwt_issuer, "mender.useradm");
    ck_assert_int_eq(c->people.jwt_exp_timeout, 604800);
    ck_assert_int_eq(c->limit_sessions_per_user, 10);
    ck_assert_int_eq(c->limit_tokens_per_user, 10);
    ck_assert_int_eq(c->token_last_used_update_freq_minutes, 5);
    ck_assert_int_eq(c->token_max_expiration_seconds, 31536000);
    ck_assert_str_eq(c->plan_definitions_path, "/etc/useradm/plans.yaml");
    ck_assert_int_eq(c->request_size_limit, 1048576);
    ck_assert_str_eq(c->log_level, "info");
}
END_TEST

START_TEST(an_empty_variable_counts_as_unset_under_the_link_name)
{
    AUTO(mem_free) char *file = support_path(support_dir(), "config.yaml");
    support_write(file, "jwt_issuer: file\n", 17, 0600);
    static const char *const names[] = {"USERADM_JWT_ISSUER", "USERADM_LISTEN", "USERADM_JWT_EXP_TIMEOUT",
                                        "LOG_LEVEL",          "USERADM_MONGO",  "LOG_FORMAT"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], "", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_USERADM, file, &c));
    ck_assert_str_eq(c->people.jwt_issuer, "file");
    ck_assert_str_eq(c->listen, ":8080");
    ck_assert_int_eq(c->people.jwt_exp_timeout, 604800);
    config_warn(c);
    AUTO(mem_free) char *log = support_log();
    ck_assert_str_eq(log, "");
}
END_TEST

/* What Helm and compose set for the enterprise service, and the original's own, that mean nothing here. */
START_TEST(variables_of_the_enterprise_service_are_tolerated)
{
    static const char *const names[] = {"USERADM_PROXY_COUNT",    "USERADM_BASE_URL",
                                        "USERADM_TOTP_ISSUER",    "USERADM_INVENTORY_ADDR",
                                        "USERADM_REDIS_ADDR",     "USERADM_REDIS_DB",
                                        "USERADM_TENANTADM_ADDR", "LOG_DISABLE_CALLER_CONTEXT",
                                        "ACCESSLOG_PROXY_DEPTH"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        setenv(names[i], "1", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(_i == 0 ? ROLE_USERADM : ROLE_MINTD, NULL, &c));
    config_warn(c);
    AUTO(mem_free) char *log = support_log();
    ck_assert_str_eq(log, "");
}
END_TEST

START_TEST(leaves_the_originals_log_variables_alone_as_mintd)
{
    setenv("LOG_LEVEL", "debug", 1);
    setenv("LOG_FORMAT", "json", 1);
    setenv("USERADM_REQUEST_SIZE_LIMIT", "77", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_MINTD, NULL, &c));
    ck_assert_str_eq(c->log_level, "info");
    ck_assert_str_eq(c->log_format, "text");
    ck_assert_int_eq(c->request_size_limit, 77);
}
END_TEST

START_TEST(takes_log_levels_in_any_letter_case_under_the_link_name)
{
    static const char *const levels[][2] = {{"DEBUG", "debug"}, {"Warning", "warn"}, {"warn", "warn"},
                                            {"ERROR", "error"}, {"Fatal", "error"},  {"TRACE", "debug"}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        setenv("LOG_LEVEL", levels[i][0], 1);
        AUTO(config_free) struct config *c = NULL;
        ck_ok(config_load(ROLE_USERADM, NULL, &c));
        ck_assert_str_eq(c->log_level, levels[i][1]);
    }
}
END_TEST

START_TEST(tolerates_odd_log_variables_under_the_link_name)
{
    setenv("LOG_LEVEL", "shout", 1);
    setenv("LOG_FORMAT", "xml", 1);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_USERADM, NULL, &c));
    ck_assert_str_eq(c->log_level, "info");
    ck_assert_str_eq(c->log_format, "text");
}
END_TEST

START_TEST(names_the_variable_that_does_not_fit)
{
    struct config *c = NULL;
    setenv("USERADM_JWT_LEEWAY", "many", 1);
    ck_err(config_load(ROLE_MINTD, NULL, &c), ERR_CONFIG);
    logged_once("source=environment key=USERADM_JWT_LEEWAY", "is many");
    setenv("USERADM_JWT_LEEWAY", "\xff", 1);
    ck_err(config_load(ROLE_MINTD, NULL, &c), ERR_CONFIG);
    logged_once("key=USERADM_JWT_LEEWAY", "must be UTF-8");
    setenv("USERADM_JWT_LEEWAY", "1", 1);
    setenv("USERADM_KEY_ALGORITHMS", "7=RS256,7=RS512", 1);
    ck_err(config_load(ROLE_MINTD, NULL, &c), ERR_CONFIG);
    logged_once("key=USERADM_KEY_ALGORITHMS", "7=PS256");
}
END_TEST

START_TEST(says_which_file_cannot_be_read)
{
    const char *dir = support_dir();
    AUTO(mem_free) char *missing = support_path(dir, "missing.yaml");
    struct config *c = NULL;
    ck_err(config_load(ROLE_MINTD, missing, &c), ERR_CONFIG);
    logged_once("missing.yaml", "No such file");
    ck_err(config_load(ROLE_MINTD, dir, &c), ERR_CONFIG);
    logged_once(dir, "not a regular file");
}
END_TEST

START_TEST(reads_json_files)
{
    static const char text[] =
        "{\n\t\"listen\": \":9000\",\n\t\"jwt_exp_timeout\": 60,\n\t\"jwt_issuer\": null,\n"
        "\t\"mongo_ssl\": false,\n\t\"server_priv_key_filename_pattern\": \"a\\\\.([0-9]+)\"\n}\n";
    AUTO(mem_free) char *file = support_path(support_dir(), "config.json");
    support_write(file, text, sizeof text - 1, 0600);
    AUTO(config_free) struct config *c = NULL;
    ck_ok(config_load(ROLE_USERADM, file, &c));
    ck_assert_str_eq(c->listen, ":9000");
    ck_assert_int_eq(c->people.jwt_exp_timeout, 60);
    ck_assert_str_eq(c->people.jwt_issuer, "mender.useradm");
    ck_assert_str_eq(c->people.server_priv_key_filename_pattern, "a\\.([0-9]+)");
}
END_TEST

START_TEST(names_the_formats_it_reads_when_asked_for_another)
{
    static const char *const names[] = {"config.toml", "config.HCL", "config.yaml.ini", "x.properties"};
    struct config *c = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        AUTO(mem_free) char *file = support_path(support_dir(), names[i]);
        support_write(file, "listen: :1\n", 11, 0600);
        ck_err(config_load(ROLE_USERADM, file, &c), ERR_CONFIG);
        logged_once(names[i], "YAML (.yaml, .yml) or JSON (.json)");
    }
}
END_TEST

START_TEST(bounds_the_file)
{
    AUTO(mem_free) char *file = support_path(support_dir(), "big.yaml");
    size_t len = ((size_t)1 << 20) + 1;
    AUTO(mem_free) char *text = mem_calloc(len + 1, 1);
    memset(text, '#', len);
    support_write(file, text, len, 0600);
    struct config *c = NULL;
    ck_err(config_load(ROLE_MINTD, file, &c), ERR_CONFIG);
    logged_once("big.yaml", "larger than 1 MiB");
}
END_TEST

START_TEST(refuses_to_set_what_is_not_there)
{
    AUTO(config_free) struct config *c = parse(ROLE_MINTD, "");
    ck_err(config_set(c, "useradm.none", "1"), ERR_CONFIG);
    logged_once("source=\"command line\" key=useradm.none", "unknown key");
    ck_err(config_set(c, "listen", "x"), ERR_CONFIG);
    ck_assert_str_eq(c->listen, ":8080");
}
END_TEST

START_TEST(prints_what_it_reads_back)
{
    enum role role = _i == 0 ? ROLE_MINTD : ROLE_USERADM;
    AUTO(config_free)
    struct config *c = parse(role, "trust_gateway: true\nuseradm:\n  jwt_issuer: \"a\\\"b\\n#c\"\n"
                                   "  accepted_issuers: ['x, y', z]\n  key_algorithms: {7: PS256}\n");
    AUTO(mem_free) char *first = print(c);
    AUTO(config_free) struct config *again = parse(role, first);
    AUTO(mem_free) char *second = print(again);
    ck_assert_str_eq(first, second);
    ck_assert_str_eq(again->people.jwt_issuer, "a\"b\n#c");
    ck_assert_str_eq(again->people.accepted_issuers.item[0], "x, y");
    ck_assert_int_eq(again->people.key_algorithms.alg[0].alg, KEY_PS256);
}
END_TEST

START_TEST(masks_passwords)
{
    static const char *const urls[] = {
        "postgresql://joe:hunter2@db/m",
        "postgresql://joe:p@hunter2@db/m?sslmode=require",
        "postgresql://db/m?user=joe&password=hunter2&sslpassword=hunter2",
        "postgresql://joe:hunter2?@db/m",
        "postgresql://joe:x@db/m?password=hunter2",
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        AUTO(config_free) struct config *c = parse(ROLE_MINTD, "");
        ck_ok(config_set(c, "db", urls[i]));
        AUTO(mem_free) char *text = print(c);
        ck_assert_ptr_null(strstr(text, "hunter2"));
        ck_assert_ptr_nonnull(strstr(text, "***"));
        ck_assert_ptr_nonnull(strstr(text, "db/m"));
    }
}
END_TEST

START_TEST(hands_the_key_ring_what_it_needs)
{
    AUTO(config_free)
    struct config *c = parse(ROLE_USERADM, "rsa_algorithm: PS384\npattern_compat: true\nkeys_max: 7\n"
                                           "key_algorithms: {3: RS512}\ndefault_key_path: /d.pem\n");
    struct keyring_config ring;
    config_keyring(c, ROLE_USERADM, &ring);
    ck_assert_ptr_null(ring.dir);
    ck_assert_str_eq(ring.signing_path, "/etc/useradm/rsa/private.pem");
    ck_assert_str_eq(ring.default_path, "/d.pem");
    ck_assert_int_eq(ring.rsa_alg, KEY_PS384);
    ck_assert(ring.pattern_unanchored);
    ck_assert_uint_eq(ring.keys_max, 7);
    ck_assert_uint_eq(ring.algs_count, 1);
    ck_assert_int_eq(ring.algs[0].kid, 3);
    AUTO(config_free) struct config *m = parse(ROLE_MINTD, "useradm: {server_priv_key_path: /k/active.pem}");
    config_keyring(m, ROLE_USERADM, &ring);
    ck_assert_ptr_null(ring.dir);
    ck_assert_str_eq(ring.signing_path, "/k/active.pem");
}
END_TEST

START_TEST(finds_the_nearest_word)
{
    struct nearest n = {.typed = "lisetn"};
    nearest_consider(&n, "log_level");
    ck_assert_ptr_null(n.best);
    nearest_consider(&n, "listens");
    nearest_consider(&n, "listen");
    ck_assert_str_eq(n.best, "listen");
    struct nearest tiny = {.typed = "a"};
    nearest_consider(&tiny, "b");
    ck_assert_ptr_null(tiny.best);
    AUTO(mem_free) char *huge = mem_calloc(1001, 1);
    memset(huge, 'x', 1000);
    struct nearest long_one = {.typed = huge};
    nearest_consider(&long_one, "listen");
    ck_assert_ptr_null(long_one.best);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config");
    TCase *tc = tcase_create("config");
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, has_defaults_for_mintd);
    tcase_add_test(tc, has_the_originals_defaults_under_its_name);
    tcase_add_test(tc, reads_every_type);
    tcase_add_test(tc, reads_the_flat_file_under_the_link_name);
    tcase_add_test(tc, keys_have_no_case_under_the_link_name);
    tcase_add_test(tc, leaves_defaults_where_a_key_is_empty);
    tcase_add_test(tc, refuses_unknown_keys);
    tcase_add_test(tc, ignores_unknown_keys_under_the_link_name_with_a_warning);
    tcase_add_test(tc, names_mongodb_and_redis_keys_once);
    tcase_add_test(tc, accepts_the_originals_other_keys);
    tcase_add_test(tc, has_the_originals_rate_limits);
    tcase_add_test(tc, reads_rate_limits_in_every_spelling);
    tcase_add_loop_test(tc, reads_rate_limits_from_the_environment, 0, 3);
    tcase_add_test(tc, names_the_source_of_a_bad_rate_limit);
    tcase_add_test(tc, limits_of_personal_access_tokens_reach_the_issuer);
    tcase_add_loop_test(tc, refuses_values_that_do_not_fit, 0, (int)(sizeof misfits / sizeof *misfits));
    tcase_add_test(tc, refuses_what_is_no_list_of_keys);
    tcase_add_test(tc, prefers_environment_to_file_and_flag_to_both);
    tcase_add_test(tc, takes_the_roles_own_variables_under_the_link_name);
    tcase_add_test(tc, every_key_of_the_original_has_a_variable);
    tcase_add_test(tc, has_the_originals_other_defaults);
    tcase_add_test(tc, an_empty_variable_counts_as_unset_under_the_link_name);
    tcase_add_loop_test(tc, variables_of_the_enterprise_service_are_tolerated, 0, 2);
    tcase_add_test(tc, leaves_the_originals_log_variables_alone_as_mintd);
    tcase_add_test(tc, takes_log_levels_in_any_letter_case_under_the_link_name);
    tcase_add_test(tc, tolerates_odd_log_variables_under_the_link_name);
    tcase_add_test(tc, names_the_variable_that_does_not_fit);
    tcase_add_test(tc, says_which_file_cannot_be_read);
    tcase_add_test(tc, reads_json_files);
    tcase_add_test(tc, names_the_formats_it_reads_when_asked_for_another);
    tcase_add_test(tc, bounds_the_file);
    tcase_add_test(tc, refuses_to_set_what_is_not_there);
    tcase_add_test(tc, devices_have_a_section_of_their_own);
    tcase_add_test(tc, the_link_name_deviceauth_has_the_originals_defaults);
    tcase_add_loop_test(tc, prints_what_it_reads_back, 0, 2);
    tcase_add_test(tc, masks_passwords);
    tcase_add_test(tc, hands_the_key_ring_what_it_needs);
    tcase_add_test(tc, finds_the_nearest_word);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
