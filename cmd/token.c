/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "auth/issuer.h"
#include "cmd/cmd.h"
#include "cmd/open.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Seconds that a year of four digits can have. */
#define LAST_SECOND INT64_C(253402300799)

/* A token from the command line or stdin, without the white space around it. */
static char *read_token(const char *arg)
{
    char text[JWS_TOKEN_MAX + 64];
    size_t len = 0;
    bool is_piped = strcmp(arg, "-") == 0;
    if (is_piped)
        len = fread(text, 1, sizeof text - 1, stdin);
    text[len] = '\0';
    const char *start = is_piped ? text : arg;
    start += strspn(start, " \t\r\n");
    char *token = mem_strndup(start, strcspn(start, " \t\r\n"));
    explicit_bzero(text, sizeof text);
    return token;
}

/* Part number n of the token as JSON; NULL when it is none. */
static json_t *decode_part(const char *token, int n)
{
    for (; n > 0; n--) {
        const char *dot = strchr(token, '.');
        if (dot == NULL)
            return NULL;
        token = dot + 1;
    }
    size_t len = strcspn(token, ".");
    if (token[len] != '.')
        return NULL;
    AUTO(mem_wipe) char *text = mem_calloc(BASE64_DECODED(len) + 1, 1);
    ptrdiff_t size = base64_decode(BASE64_URL, token, len, (uint8_t *)text, NULL);
    AUTO(json_release) json_t *json = NULL;
    if (size < 0 || json_parse_strict(text, (size_t)size, &json) != ERR_OK)
        return NULL;
    return MOVE(json);
}

static bool is_time(const char *name)
{
    return strcmp(name, "exp") == 0 || strcmp(name, "iat") == 0 || strcmp(name, "nbf") == 0;
}

/* Escaped to ASCII: what a stranger's token says must not steer the terminal. */
static void print_members(const char *title, const json_t *object)
{
    printf("%s\n", title);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        AUTO(json_release) json_t *key = json_string(name);
        AUTO(mem_free) char *key_text = json_dumps(key, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        AUTO(mem_free) char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
        printf("  %-16s %s", key_text, text);
        int64_t seconds = json_integer_value(value);
        if (is_time(name) && json_is_integer(value) && seconds >= 0 && seconds <= LAST_SECOND) {
            char when[CLOCK_RFC3339_SIZE];
            clock_rfc3339(seconds * 1000, when);
            printf("  %s", when);
        }
        putchar('\n');
    }
}

static bool check_signature(struct keyring *ring, const char *token)
{
    struct keyring_view view = keyring_acquire(ring);
    struct jws jws;
    bool is_good = jws_verify(view.set, token, strlen(token), &jws) == ERR_OK;
    if (is_good)
        printf("signature  good: kid %lld, %s\n", (long long)key_kid(jws.key), key_alg_name(key_alg(jws.key)));
    else
        printf("signature  bad, or of a key that is not here\n");
    keyring_release(&view);
    return is_good;
}

/* Why the claims of a token with a good signature are refused. */
static const char *fault(const struct issuer_config *rules, const json_t *claims)
{
    int64_t now = clock_s();
    const json_t *exp = json_object_get(claims, "exp");
    const json_t *nbf = json_object_get(claims, "nbf");
    const json_t *iat = json_object_get(claims, "iat");
    if (json_is_integer(exp) && json_integer_value(exp) <= now - rules->leeway_s)
        return "expired";
    if ((json_is_integer(nbf) && json_integer_value(nbf) > now + rules->leeway_s) ||
        (json_is_integer(iat) && json_integer_value(iat) > now + rules->leeway_s))
        return "not valid yet";
    if (rules->kind == ISSUER_DEVICES)
        return "refused: not those of a device's token, or iss is not accepted";
    return "refused: not those of a person's token, or iss is not accepted";
}

/* Whose it says to be; the routes of people do not believe a device's token, nor the other way around. */
static enum role service_of(const json_t *claims)
{
    return json_is_true(json_object_get(claims, "mender.device")) ? ROLE_DEVICEAUTH : ROLE_USERADM;
}

/* Anything but a clear no counts as alive: a database is not needed to look at a token. */
static bool check_alive(struct issuer *issuer, const struct issuer_token *token)
{
    enum err e = issuer_alive(issuer, token, true);
    if (e == ERR_OK)
        printf("alive      yes\n");
    else if (e == ERR_UNAUTHORIZED)
        printf("alive      no: %s\n", issuer_config(issuer)->kind == ISSUER_DEVICES
                                          ? "revoked, or the device is gone or not accepted"
                                          : "revoked, logged out, or the user is gone");
    else
        printf("alive      not known: %s\n", err_text(e));
    return e != ERR_UNAUTHORIZED;
}

static bool check_token(const struct cmd *cmd, struct keyring *ring, const char *token, const json_t *claims)
{
    if (!check_signature(ring, token))
        return false;
    AUTO(db_free) struct db *db = NULL;
    bool has_db = open_db(cmd, OPEN_CURRENT, 1, &db) == CMD_OK;
    struct issuer_config rules;
    config_issuer(cmd->config, service_of(claims), &rules);
    rules.last_used_every_s = 0; /* a look is no use */
    rules.cache_entries = 0;
    AUTO(issuer_free) struct issuer *issuer = issuer_new(&rules, db, ring);
    struct issuer_token checked;
    bool is_good = issuer_check(issuer, token, strlen(token), &checked) == ERR_OK;
    printf("claims     %s\n", is_good ? "good" : fault(&rules, claims));
    if (!is_good)
        return false;
    if (!has_db)
        printf("alive      not known: no database\n");
    return !has_db || check_alive(issuer, &checked);
}

static enum cmd_exit run(struct cmd *cmd)
{
    AUTO(mem_wipe) char *token = read_token(cmd->arg[0]);
    AUTO(json_release) json_t *header = decode_part(token, 0);
    AUTO(json_release) json_t *claims = decode_part(token, 1);
    if (header == NULL || claims == NULL)
        return cmd_fail(cmd, CMD_USAGE, "not a token: it has no header and claims in base64url and JSON");
    print_members("header", header);
    print_members("claims", claims);
    AUTO(keyring_free) struct keyring *ring = NULL;
    if (open_ring(cmd, service_of(claims), &ring) != CMD_OK) {
        printf("signature  not checked: no keys\n");
        return CMD_USAGE;
    }
    return check_token(cmd, ring, token, claims) ? CMD_OK : CMD_USAGE;
}

const struct command token_inspect_command = {
    .name = "token inspect",
    .args = "TOKEN|-",
    .args_min = 1,
    .args_max = 1,
    .summary = "Show what a token says and whether it is good; exit code 1 when it is not.",
    .details =
        "A person's or a device's: each with the keys and rules of its own. Uses the configured keys, and the "
        "database when it\n"
        "is there; needs no server. \"-\" reads the token from stdin, which keeps it out of the process list and "
        "the shell's\n"
        "history.",
    .examples = "$0 token inspect - <token\n$0 token inspect eyJhbGciOi...",
    .run = run,
};
