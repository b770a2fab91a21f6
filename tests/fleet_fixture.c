/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fleet_fixture.h"

#include <stdio.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static void open_ring(struct fleet_fixture *f)
{
    const char *dir = support_dir();
    AUTO(mem_wipe) char *pem = NULL;
    ck_ok(key_generate("ed25519", &pem));
    AUTO(mem_free) char *path = support_path(dir, "private.id.1.pem");
    support_write(path, pem, strlen(pem), 0600);
    const struct keyring_config rules = {.name = "deviceauth",
                                         .dir = dir,
                                         .pattern = "private\\.id\\.([0-9]*)\\.pem",
                                         .keys_max = 10};
    ck_ok(keyring_open(&rules, &f->ring));
}

void fleet_fixture_init(struct fleet_fixture *f, int engine, int64_t lifetime_s)
{
    *f = (struct fleet_fixture){.addons = json_array()};
    open_ring(f);
    const struct issuer_config config = {.kind = ISSUER_DEVICES,
                                         .iss = "Mender",
                                         .lifetime_s = lifetime_s,
                                         .cache_entries = 1000};
    f->fleet = (struct fleet){.db = support_db(engine), .plan = {.plan = "enterprise", .addons = f->addons}};
    f->fleet.tokens = issuer_new(&config, f->fleet.db, f->ring);
}

void fleet_fixture_release(struct fleet_fixture *f)
{
    outbox_stop(&f->fleet.outbox);
    engine_free(&f->engine);
    issuer_free(&f->fleet.tokens);
    db_free(&f->fleet.db);
    keyring_free(&f->ring);
    json_release(&f->addons);
}

void fleet_fixture_engine(struct fleet_fixture *f)
{
    outbox_stop(&f->fleet.outbox);
    engine_free(&f->engine);
    f->engine = engine_new();
    engine_listen(f->engine);
    const struct outbox_config config = {.orchestrator_addr = engine_url(f->engine), .timeout_ms = 10000};
    ck_ok(outbox_start(&config, f->fleet.db, &f->fleet.outbox));
}

struct device_identity fleet_fixture_identity(const char *tenant, const char *id_data, const char *key)
{
    struct device_identity identity = {.tenant = tenant, .id_data = id_data, .pubkey = key};
    snprintf(identity.id_hash, sizeof identity.id_hash, "%s", id_data);
    snprintf(identity.key_hash, sizeof identity.key_hash, "%s", key);
    return identity;
}

enum err fleet_fixture_alive(const struct fleet_fixture *f, const char *token)
{
    struct issuer_token checked;
    TRY(issuer_check(f->fleet.tokens, token, strlen(token), &checked));
    return issuer_alive(f->fleet.tokens, &checked, true);
}
