/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "auth/user.h"
#include "keystore/jws.h"
#include "keystore/keyring_metrics.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/migrate.h"

#define COST 4

static void write_key(const char *dir, const char *type, int kid)
{
    AUTO(mem_wipe) char *pem = NULL;
    ck_ok(key_generate(type, &pem));
    AUTO(mem_free) char *path = mem_printf("%s/private.id.%d.pem", dir, kid);
    support_write(path, pem, strlen(pem), 0600);
}

/* As by default. */
const struct guard_config fixture_guard = {.delay_after = 5,
                                           .lock_after = 20,
                                           .lock_s = 900,
                                           .account_lock_after = 100};
static void open_ring(const char *name, const char *dir, struct keyring **ring)
{
    write_key(dir, "es256", 1);
    const struct keyring_config config = {
        .name = name, .dir = dir, .pattern = "private\\.id\\.([0-9]*)\\.pem", .rsa_alg = KEY_RS256, .keys_max = 100};
    ck_ok(keyring_open(&config, ring));
}

static void open_storage(struct fixture *f, int engine)
{
    char why[256] = "";
    f->url = support_db_url(engine);
    ck_assert_msg(db_open(f->url, 8, why, sizeof why, &f->db) == ERR_OK, "%s", why);
    ck_ok(migrate_run(f->db, migrate_list, NULL));
    f->liveness = liveness_new(f->db);
}

static void open_fleet(struct fixture *f)
{
    open_ring("deviceauth", support_dir(), &f->device_ring);
    const struct issuer_config config = {
        .kind = ISSUER_DEVICES, .iss = "Mender", .lifetime_s = 604800, .liveness = f->liveness, .cache_entries = 1000};
    f->device_keys = pubkey_cache_new(100, PUBKEY_RSA_BITS_MIN);
    f->addons = json_array();
    f->fleet = (struct fleet){.db = f->db,
                              .tokens = issuer_new(&config, f->db, f->device_ring),
                              .plan = {.plan = "enterprise", .addons = f->addons}};
}

void fixture_init(struct fixture *f, int engine)
{
    *f = (struct fixture){.keys = support_dir()};
    open_storage(f, engine);
    open_ring("useradm", f->keys, &f->ring);
    keyring_metrics_add(f->ring);
    const struct issuer_config config = {.iss = "mender.useradm",
                                         .lifetime_s = 604800,
                                         .sessions_max = 10,
                                         .pats_max = 10,
                                         .pat_lifetime_max_s = 31536000,
                                         .last_used_every_s = 300,
                                         .cache_entries = 1000,
                                         .liveness = f->liveness,
                                         .guard = fixture_guard};
    f->issuer = issuer_new(&config, f->db, f->ring);
    f->plans = plan_default();
    open_fleet(f);
    f->service = (struct service){.db = f->db,
                                  .users = f->issuer,
                                  .fleet = &f->fleet,
                                  .inventory_view = true,
                                  .device_keys = f->device_keys,
                                  .body_max = 1048576,
                                  .password_cost = COST,
                                  .plans = f->plans,
                                  .version = "test"};
    char why[USER_WHY_SIZE];
    const struct user_new user = {.email = FIXTURE_EMAIL, .password = FIXTURE_PASSWORD, .cost = COST};
    ck_ok(user_create(f->db, &user, why, &f->user_id));
}

void fixture_release(struct fixture *f)
{
    issuer_free(&f->issuer);
    issuer_free(&f->fleet.tokens);
    liveness_free(&f->liveness);
    pubkey_cache_free(&f->device_keys);
    keyring_free(&f->device_ring);
    json_release(&f->addons);
    plan_list_free(&f->plans);
    keyring_metrics_remove(f->ring);
    keyring_free(&f->ring);
    db_free(&f->db);
    mem_free(&f->user_id);
}

void fixture_add_key(struct fixture *f, const char *type, int kid)
{
    write_key(f->keys, type, kid);
    ck_ok(keyring_reload(f->ring));
}

struct call *fixture_call(struct fixture *f, const char *method, const char *path)
{
    struct call *c = mem_calloc(1, sizeof *c);
    *c = (struct call){.service = &f->service,
                       .method = method,
                       .path = path,
                       .query = "",
                       .body = "",
                       .content_length = -1,
                       .is_internal = strstr(path, "/internal/") != NULL || strcmp(path, "/metrics") == 0,
                       .peer = "127.0.0.1",
                       .start_ns = clock_mono_ns()};
    return c;
}

void fixture_body(struct call *c, const char *body)
{
    c->body = body;
    c->body_len = strlen(body);
    c->content_length = (int64_t)c->body_len;
}

int fixture_run(struct call *c)
{
    enum lane_id lane = LANE_IO;
    if (!router_refuses_size(c) && !router_start(c, &lane)) {
        ck_assert_int_ne(lane, LANE_IO);
        router_finish(c);
    }
    router_log(c);
    return c->status;
}

const char *fixture_header(const struct call *c, const char *name)
{
    for (size_t i = 0; i < c->reply_headers; i++)
        if (strcmp(c->reply_header[i].name, name) == 0)
            return c->reply_header[i].value;
    return NULL;
}

void fixture_free(struct call **c)
{
    if (*c != NULL)
        call_release(*c);
    free(*c);
    *c = NULL;
}

struct call *fixture_get(struct fixture *f, const char *path, const char *authorization, int status)
{
    struct call *c = fixture_call(f, "GET", path);
    c->header[CALL_AUTHORIZATION] = authorization;
    c->header[CALL_FORWARDED_METHOD] = "GET";
    c->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
    int got = fixture_run(c);
    ck_assert_msg(got == status, "GET %s gave %d, not %d: %s", path, got, status, c->reply != NULL ? c->reply : "");
    return c;
}

void fixture_expect(struct fixture *f, const char *path, const char *authorization, int status)
{
    struct call *c = fixture_get(f, path, authorization, status);
    fixture_free(&c);
}

char *fixture_login(struct fixture *f)
{
    AUTO(fixture_free) struct call *c = fixture_call(f, "POST", "/api/management/v1/useradm/auth/login");
    c->header[CALL_AUTHORIZATION] = FIXTURE_BASIC;
    ck_assert_int_eq(fixture_run(c), 200);
    return mem_printf("Bearer %s", c->reply);
}

char *fixture_forge(struct fixture *f, const char *payload)
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(f->ring);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(jws_sign(keyset_signing(view.set), payload, strlen(payload), &token));
    return mem_printf("Bearer %s", token);
}
