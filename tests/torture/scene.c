/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/torture/scene.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

#define PEOPLE "/api/management/v1/useradm"
#define VERIFY "/api/internal/v1/useradm/auth/verify"
#define TENANTS "/api/internal/v1/useradm/tenants"

#define BEGIN_MS INT64_C(1790000000000)
#define STEP_MS 10000

/* Rows by what they say, with what they refer to in place of ids: both engines give the same text. */
static const char *const views[] = {
    "SELECT 'user', tenant_id, email, revision, created_ms, updated_ms, login_ms FROM users ORDER BY email",
    "SELECT 'token', t.tenant_id, u.email, t.name, t.kid, t.issued_ms, t.expires_ms, t.last_used_ms"
    "  FROM tokens t LEFT JOIN users u ON u.id = t.user_id ORDER BY t.issued_ms, t.name",
    "SELECT 'settings', s.tenant_id, u.email, s.body FROM settings s LEFT JOIN users u ON u.id = s.user_id"
    "  ORDER BY s.tenant_id, u.email",
    "SELECT 'failure', network, failures, refused, forget_ms, until_ms, trusted_ms, expires_ms FROM login_failures"
    "  ORDER BY account, network",
    "SELECT 'device', tenant_id, id_data, status, decommissioning, provisioned, revision, created_ms, updated_ms"
    "  FROM devices ORDER BY tenant_id, id_data",
    "SELECT 'set', a.tenant_id, d.tenant_id, d.id_data, a.key_hash, a.status, a.created_ms"
    "  FROM auth_sets a LEFT JOIN devices d ON d.id = a.device_id ORDER BY a.key_hash",
    "SELECT 'device token', t.tenant_id, d.id_data, a.status, a.key_hash, t.issued_ms, t.expires_ms"
    "  FROM device_tokens t LEFT JOIN devices d ON d.id = t.device_id LEFT JOIN auth_sets a ON a.id = t.id"
    "  ORDER BY a.key_hash",
    "SELECT 'attribute', a.tenant_id, d.id_data, a.name, a.value"
    "  FROM device_attributes a LEFT JOIN devices d ON d.id = a.device_id ORDER BY a.name, a.value",
    "SELECT 'check-in', d.id_data, c.seen_ms, c.told_ms"
    "  FROM device_check_ins c LEFT JOIN devices d ON d.id = c.device_id ORDER BY d.id_data",
    "SELECT 'limit', tenant_id, name, value FROM limits ORDER BY tenant_id, name",
    "SELECT 'event', d.id_data, e.seq, e.workflow, e.attempts"
    "  FROM device_events e LEFT JOIN devices d ON d.id = e.device_id ORDER BY d.id_data, e.seq",
};

static const char *const clearings[] = {
    "DELETE FROM tokens",
    "DELETE FROM users",
    "DELETE FROM settings",
    "DELETE FROM login_failures",
    "DELETE FROM device_tokens",
    "DELETE FROM auth_sets",
    "DELETE FROM device_attributes",
    "DELETE FROM device_check_ins",
    "DELETE FROM devices",
    "DELETE FROM limits",
    "DELETE FROM device_events",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { COLUMNS_MAX = 9 };

/* NULL and what is behind the last column look alike, which is well enough to compare with itself. */
static void put_rows(FILE *out, struct db_rows *rows)
{
    while (db_rows_next(rows)) {
        for (size_t i = 0; i < COLUMNS_MAX; i++) {
            const char *text = db_rows_text(rows, i);
            fprintf(out, "%s|", text != NULL ? text : "");
        }
        fputc('\n', out);
    }
}

char *scene_state(const struct scene *scene)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < COUNT(views); i++) {
        AUTO(db_rows_free) struct db_rows *rows = NULL;
        ck_ok(db_query(scene->f.db, views[i], DB_ARGS(), &rows));
        put_rows(out, rows);
    }
    fclose(out);
    return text;
}

/* As fixture_run(), without Check and without a log line, both of which would call what is to fail. */
int scene_run(struct call *c)
{
    enum lane_id lane = LANE_IO;
    if (!router_refuses_size(c) && !router_start(c, &lane))
        router_finish(c);
    return c->status;
}

/* clang-format off */
const struct scene_op scene_ops[] = {
    {.name = "login", .want = 200, .caller = SCENE_PASSWORD, .method = "POST", .path = PEOPLE "/auth/login"},
    {.name = "verify", .want = 200, .may_refuse = true, .caller = SCENE_LOGIN, .method = "GET", .path = VERIFY,
     .is_cold = true},
    {.name = "verify a personal access token", .want = 200, .may_refuse = true, .caller = SCENE_PAT, .method = "GET",
     .path = VERIFY, .is_best_effort = true, .is_cold = true},
    {.name = "logout", .want = 202, .caller = SCENE_LOGIN, .method = "POST", .path = PEOPLE "/auth/logout"},
    {.name = "list users", .want = 200, .caller = SCENE_LOGIN, .method = "GET", .path = PEOPLE "/users"},
    {.name = "create a user", .want = 201, .caller = SCENE_LOGIN, .method = "POST", .path = PEOPLE "/users",
     .body = "{\"email\":\"carol@example.com\",\"password\":\"battery staple\"}"},
    {.name = "change an e-mail", .want = 204, .caller = SCENE_LOGIN, .method = "PUT", .path = PEOPLE "/users/{bob}",
     .body = "{\"email\":\"rob@example.com\"}"},
    {.name = "change a password", .want = 204, .caller = SCENE_LOGIN, .method = "PUT", .path = PEOPLE "/users/me",
     .body = "{\"password\":\"battery staple\",\"current_password\":\"" FIXTURE_PASSWORD "\"}"},
    {.name = "delete a user", .want = 204, .caller = SCENE_LOGIN, .method = "DELETE", .path = PEOPLE "/users/{bob}"},
    {.name = "create a token", .want = 200, .caller = SCENE_LOGIN, .method = "POST", .path = PEOPLE "/settings/tokens",
     .body = "{\"name\":\"cd\",\"expires_in\":3600}"},
    {.name = "list tokens", .want = 200, .caller = SCENE_LOGIN, .method = "GET", .path = PEOPLE "/settings/tokens"},
    {.name = "delete a token", .want = 204, .caller = SCENE_LOGIN, .method = "DELETE",
     .path = PEOPLE "/settings/tokens/{token}"},
    {.name = "save settings", .want = 201, .caller = SCENE_LOGIN, .method = "POST", .path = PEOPLE "/settings",
     .body = "{\"a\":\"two\"}"},
    {.name = "show settings", .want = 200, .caller = SCENE_LOGIN, .method = "GET", .path = PEOPLE "/settings"},
    {.name = "revoke all tokens of a user", .want = 204, .caller = SCENE_NOBODY, .method = "DELETE",
     .path = "/api/internal/v1/useradm/tokens?tenant_id=t&user_id={tom}"},
    {.name = "ask for the first time", .want = 401, .says = "dev auth: unauthorized", .may_refuse = true,
     .caller = SCENE_UNKNOWN},
    {.name = "ask for a token", .want = 200, .may_refuse = true, .may_remain = true, .caller = SCENE_ACCEPTED},
    {.name = "verify a device", .want = 200, .may_refuse = true, .caller = SCENE_DEVICE, .method = "GET",
     .path = BOARD_VERIFY, .is_cold = true},
    {.name = "accept", .want = 204, .caller = SCENE_LOGIN, .method = "PUT", .path = "{pending}/status",
     .body = "{\"status\":\"accepted\"}"},
    {.name = "reject", .want = 204, .caller = SCENE_LOGIN, .method = "PUT", .path = "{accepted}/status",
     .body = "{\"status\":\"rejected\"}"},
    {.name = "delete a set", .want = 204, .caller = SCENE_LOGIN, .method = "DELETE", .path = "{accepted}"},
    {.name = "decommission", .want = 204, .caller = SCENE_LOGIN, .method = "DELETE", .path = "{device}"},
    {.name = "preauthorize", .want = 201, .caller = SCENE_LOGIN, .method = "POST", .path = BOARD_DEVICES,
     .body = "{unknown}"},
    {.name = "revoke a device's token", .want = 204, .caller = SCENE_LOGIN, .method = "DELETE",
     .path = "/api/management/v2/devauth/tokens/{jti}"},
    {.name = "list devices", .want = 200, .caller = SCENE_LOGIN, .method = "GET", .path = BOARD_DEVICES},
    {.name = "set a limit", .want = 204, .caller = SCENE_NOBODY, .method = "PUT",
     .path = "/api/internal/v1/devauth/tenant/t/limits/max_devices", .body = "{\"limit\":5}"},
    {.name = NULL},
};
/* clang-format on */

/* In the order of struct scene's ids. */
static const char *const id_names[] = {"bob", "token", "tom", "pending", "accepted", "device", "jti", "unknown"};
enum { ID_BOB, ID_TOKEN, ID_TOM, ID_PENDING, ID_ACCEPTED, ID_DEVICE, ID_JTI, ID_UNKNOWN };
static_assert(COUNT(id_names) == SCENE_IDS);

/* text with the first {name} in it replaced. */
static char *fill(const struct scene *s, const char *text)
{
    for (size_t i = 0; text != NULL && i < SCENE_IDS; i++) {
        AUTO(mem_free) char *name = mem_printf("{%s}", id_names[i]);
        const char *place = strstr(text, name);
        if (place != NULL)
            return mem_printf("%.*s%s%s", (int)(place - text), text, s->ids[i], place + strlen(name));
    }
    return mem_strdup(text);
}

/* What a call borrows and nobody else keeps. */
struct request {
    char *path;
    char *body;
    char *signature;
    struct service service; /* a cold one; its issuers are NULL when it is not */
    struct fleet fleet;
};

static struct issuer *cold_issuer(const struct issuer *like)
{
    struct issuer_config config = *issuer_config(like);
    config.liveness = NULL;
    return issuer_new(&config, issuer_db(like), issuer_ring(like));
}

/* Let the call be of a service that remembers no token. */
static void cool(struct scene *s, struct call *c)
{
    struct request *r = c->front;
    r->service = s->f.service;
    r->fleet = s->f.fleet;
    r->service.fleet = &r->fleet;
    r->service.users = cold_issuer(s->f.issuer);
    r->fleet.tokens = cold_issuer(s->f.fleet.tokens);
    c->service = &r->service;
}

static struct board *sender(struct scene *s, const struct scene_op *op)
{
    if (op->caller == SCENE_ACCEPTED)
        return &s->accepted;
    return op->caller == SCENE_UNKNOWN ? &s->unknown : NULL;
}

static const char *credential(const struct scene *s, enum scene_caller caller)
{
    const char *const all[] = {[SCENE_PASSWORD] = FIXTURE_BASIC,
                               [SCENE_LOGIN] = s->bearer,
                               [SCENE_PAT] = s->pat,
                               [SCENE_DEVICE] = s->accepted.bearer,
                               [SCENE_UNKNOWN] = NULL};
    return all[caller];
}

struct call *scene_call(struct scene *s, const struct scene_op *op)
{
    struct request *r = mem_calloc(1, sizeof *r);
    const struct board *board = sender(s, op);
    r->path = board != NULL ? mem_strdup(BOARD_ASK) : fill(s, op->path);
    r->body = board != NULL ? board_body(board) : fill(s, op->body);
    r->signature = board != NULL ? board_sign(board, r->body) : NULL;
    struct call *c = fixture_call(&s->f, board != NULL ? "POST" : op->method, r->path);
    c->front = r;
    char *query = strchr(r->path, '?');
    if (query != NULL) {
        *query = '\0';
        c->query = query + 1;
    }
    c->header[CALL_AUTHORIZATION] = credential(s, op->caller);
    c->header[CALL_SIGNATURE] = r->signature;
    c->header[CALL_IF_MATCH] = strstr(op->name, "save") != NULL ? s->etag : NULL;
    c->header[CALL_FORWARDED_METHOD] = "GET";
    c->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
    if (r->body != NULL) {
        c->header[CALL_CONTENT_TYPE] = "application/json";
        fixture_body(c, r->body);
    }
    if (op->is_cold)
        cool(s, c);
    return c;
}

void scene_call_free(struct call **c)
{
    if (*c == NULL)
        return;
    struct request *r = (*c)->front;
    mem_free(&r->path);
    mem_free(&r->body);
    mem_free(&r->signature);
    issuer_free(&r->service.users);
    issuer_free(&r->fleet.tokens);
    free(r);
    fixture_free(c);
}

static char *create_user(struct scene *s, const char *tenant, const char *email)
{
    char why[USER_WHY_SIZE];
    char *id = NULL;
    const struct user_new user = {.tenant = tenant, .email = email, .password = FIXTURE_PASSWORD, .cost = 4};
    ck_ok(user_create(s->f.db, &user, why, &id));
    return id;
}

static struct call *done(struct scene *s, const char *method, const char *path, const char *body, int status)
{
    struct call *c = board_operator(&s->f, s->bearer, method, path, body);
    ck_assert_msg(c->status == status, "%s %s: %d %s", method, path, c->status, c->reply != NULL ? c->reply : "");
    return c;
}

static char *only_id(struct scene *s, const char *path)
{
    AUTO(fixture_free) struct call *c = done(s, "GET", path, NULL, 200);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    ck_assert_uint_ge(json_array_size(list), 1);
    return mem_strdup(json_string_value(json_object_get(json_array_get(list, 0), "id")));
}

static void people_begin(struct scene *s)
{
    mem_free(&s->f.user_id);
    s->f.user_id = create_user(s, "", FIXTURE_EMAIL);
    s->ids[ID_BOB] = create_user(s, "", "bob@example.com");
    s->ids[ID_TOM] = create_user(s, "t", "tom@example.com");
    s->bearer = fixture_login(&s->f);
    clock_set(clock_ms() + STEP_MS);
    s->other = fixture_login(&s->f);
    clock_set(clock_ms() + STEP_MS);
    AUTO(fixture_free)
    struct call *c = done(s, "POST", PEOPLE "/settings/tokens", "{\"name\":\"ci\",\"expires_in\":3600}", 200);
    s->pat = mem_printf("Bearer %s", c->reply);
    s->ids[ID_TOKEN] = only_id(s, PEOPLE "/settings/tokens");
    AUTO(fixture_free) struct call *saved = done(s, "POST", PEOPLE "/settings", "{\"a\":\"one\"}", 201);
    AUTO(fixture_free) struct call *shown = done(s, "GET", PEOPLE "/settings", NULL, 200);
    s->etag = mem_strdup(fixture_header(shown, "ETag"));
}

/* The device of this identity, as operators see it; a new reference. */
static json_t *device_of(struct scene *s, const struct board *board)
{
    AUTO(fixture_free) struct call *c = done(s, "GET", BOARD_DEVICES, NULL, 200);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    AUTO(json_release) json_t *identity = json_loads(board->id_data, 0, NULL);
    size_t i;
    const json_t *device;
    json_array_foreach(list, i, device) if (json_equal(json_object_get(device, "identity_data"),
                                                       identity)) return json_incref((json_t *)device);
    ck_abort_msg("there is no device %s", board->id_data);
}

static void devices_begin(struct scene *s)
{
    ck_assert_int_eq(board_ask(&s->pending), 401);
    ck_assert_int_eq(board_ask(&s->accepted), 401);
    AUTO(json_release) json_t *pending = device_of(s, &s->pending);
    AUTO(json_release) json_t *accepted = device_of(s, &s->accepted);
    s->ids[ID_PENDING] = board_set_path(pending, 0, "");
    s->ids[ID_ACCEPTED] = board_set_path(accepted, 0, "");
    s->ids[ID_DEVICE] = board_path(accepted, "");
    s->ids[ID_JTI] = mem_strdup(strrchr(s->ids[ID_ACCEPTED], '/') + 1);
    AUTO(mem_free) char *path = board_set_path(accepted, 0, "/status");
    AUTO(fixture_free) struct call *c = done(s, "PUT", path, "{\"status\":\"accepted\"}", 204);
    ck_assert_int_eq(board_ask(&s->accepted), 200);
    AUTO(json_release) json_t *identity = json_loads(s->unknown.id_data, 0, NULL);
    AUTO(json_release) json_t *body = json_pack("{s:O, s:s}", "identity_data", identity, "pubkey", s->unknown.pem);
    s->ids[ID_UNKNOWN] = json_dumps(body, JSON_COMPACT);
}

static void forget(struct scene *s)
{
    mem_wipe(&s->bearer);
    mem_wipe(&s->other);
    mem_wipe(&s->pat);
    mem_free(&s->etag);
    mem_free(&s->accepted.bearer);
    for (size_t i = 0; i < SCENE_IDS; i++)
        mem_free(&s->ids[i]);
}

void scene_reset(struct scene *s)
{
    forget(s);
    for (size_t i = 0; i < COUNT(clearings); i++)
        ck_ok(db_exec(s->f.db, clearings[i], DB_ARGS(), NULL));
    issuer_revoked(s->f.issuer);
    issuer_revoked(s->f.fleet.tokens);
    clock_set(BEGIN_MS);
    people_begin(s);
    devices_begin(s);
    clock_set(clock_ms() + STEP_MS);
}

void scene_init(struct scene *s, int engine)
{
    *s = (struct scene){0};
    clock_set(BEGIN_MS);
    fixture_init(&s->f, engine);
    board_init(&s->pending, &s->f, "EC", "{\"mac\":\"02:00:00:00:00:01\"}");
    board_init(&s->accepted, &s->f, "ED25519", "{\"mac\":\"02:00:00:00:00:02\"}");
    board_init(&s->unknown, &s->f, "EC", "{\"mac\":\"02:00:00:00:00:03\"}");
}

void scene_release(struct scene *s)
{
    forget(s);
    board_release(&s->pending);
    board_release(&s->accepted);
    board_release(&s->unknown);
    fixture_release(&s->f);
}

static int asked(struct scene *s, const char *path, const char *bearer, bool is_cold)
{
    const struct scene_op op = {
        .name = "verify", .caller = SCENE_NOBODY, .method = "GET", .path = path, .is_cold = is_cold};
    struct call *c = scene_call(s, &op);
    c->header[CALL_AUTHORIZATION] = bearer;
    int status = scene_run(c);
    scene_call_free(&c);
    return status;
}

const char *scene_dishonest(struct scene *s)
{
    const struct {
        const char *name;
        const char *path;
        const char *bearer;
    } tokens[] = {{"first login", VERIFY, s->bearer},
                  {"second login", VERIFY, s->other},
                  {"accepted device", BOARD_VERIFY, s->accepted.bearer}};
    const char *which = NULL;
    int64_t now = clock_ms();
    clock_set(now + 1000);
    for (size_t i = 0; i < COUNT(tokens); i++) {
        int warm = asked(s, tokens[i].path, tokens[i].bearer, false);
        if (warm != asked(s, tokens[i].path, tokens[i].bearer, true) || (warm != 200 && warm != 401))
            which = tokens[i].name;
    }
    clock_set(now);
    return which;
}
