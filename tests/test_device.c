/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device.h"

#include <stdlib.h>
#include <string.h>

#include "auth/device_admit.h"
#include "auth/device_enrol.h"
#include "keystore/keyring.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

#define MAC "{\"mac\":\"02:00:00:00:00:01\"}"
#define NOW_MS INT64_C(1790000000120)

static struct keyring *ring;
static struct fleet fleet;
static json_t *addons;

static void begin(int engine)
{
    clock_set(NOW_MS);
    const char *dir = support_dir();
    AUTO(mem_wipe) char *pem = NULL;
    ck_ok(key_generate("es256", &pem));
    AUTO(mem_free) char *path = support_path(dir, "private.id.3.pem");
    support_write(path, pem, strlen(pem), 0600);
    const struct keyring_config rules = {.name = "deviceauth",
                                         .dir = dir,
                                         .pattern = "private\\.id\\.([0-9]*)\\.pem",
                                         .keys_max = 10};
    ck_ok(keyring_open(&rules, &ring));
    const struct issuer_config config = {.kind = ISSUER_DEVICES,
                                         .iss = "Mender",
                                         .lifetime_s = 604800,
                                         .cache_entries = 100};
    addons = json_array();
    fleet = (struct fleet){.db = support_db(engine), .plan = {.plan = "enterprise", .addons = addons}};
    fleet.tokens = issuer_new(&config, fleet.db, ring);
}

static void finish(void)
{
    issuer_free(&fleet.tokens);
    db_free(&fleet.db);
    keyring_free(&ring);
    json_release(&addons);
}

/* The texts stand for their hashes, too. */
static void identify(struct device_identity *identity, const char *id_data, const char *key)
{
    *identity = (struct device_identity){.tenant = "", .id_data = id_data, .pubkey = key};
    snprintf(identity->id_hash, sizeof identity->id_hash, "%s", id_data);
    snprintf(identity->key_hash, sizeof identity->key_hash, "%s", key);
}

/* Ask as the device with this identity and this key; the token goes to *token. */
static enum err ask(const char *id_data, const char *key, char **token)
{
    struct device_identity identity;
    identify(&identity, id_data, key);
    return device_enrol(&fleet, &identity, &fleet.plan, "r", true, token);
}

static enum err ask_only(const char *id_data, const char *key)
{
    AUTO(mem_wipe) char *token = NULL;
    return ask(id_data, key, &token);
}

static enum err preauthorize(const char *id_data, const char *key, bool force, char **id)
{
    struct device_identity identity;
    identify(&identity, id_data, key);
    AUTO(device_free) struct device *conflict = NULL;
    return device_admit_preauthorize(&fleet, &identity, force, "r", id, &conflict);
}

/* The only device there is. */
static struct device *only(void)
{
    struct device_filter filter = {.status = {true, true, true, true, true}};
    struct device **list = NULL;
    size_t n = 0;
    ck_ok(device_list(fleet.db, "", &filter, 0, 10, &list, &n));
    ck_assert_uint_eq(n, 1);
    struct device *device = list[0];
    free(list);
    return device;
}

static enum err decide(const struct device *device, size_t set, enum device_status status)
{
    return device_admit_set_status(&fleet, "", device->id, device->set[set].id, status, "r");
}

static enum err alive(const char *token)
{
    struct issuer_token checked;
    TRY(issuer_check(fleet.tokens, token, strlen(token), &checked));
    return issuer_alive(fleet.tokens, &checked, true);
}

START_TEST(a_device_waits_until_it_is_accepted)
{
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_assert_int_eq(device->status, DEVICE_PENDING);
    ck_assert_uint_eq(device->sets, 1);
    ck_ok(decide(device, 0, DEVICE_ACCEPTED));
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(ask(MAC, "k1", &token));
    ck_ok(alive(token));
    AUTO(device_free) struct device *accepted = only();
    ck_assert_int_eq(accepted->status, DEVICE_ACCEPTED);
    ck_assert_int_gt(accepted->revision, device->revision);
    finish();
}
END_TEST

START_TEST(rejecting_kills_the_token_at_once)
{
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_ok(decide(device, 0, DEVICE_ACCEPTED));
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(ask(MAC, "k1", &token));
    ck_ok(alive(token));
    ck_ok(decide(device, 0, DEVICE_REJECTED));
    ck_err(alive(token), ERR_UNAUTHORIZED);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    finish();
}
END_TEST

START_TEST(a_new_key_takes_over_when_it_is_accepted)
{
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_ok(decide(device, 0, DEVICE_ACCEPTED));
    AUTO(mem_wipe) char *old = NULL;
    ck_ok(ask(MAC, "k1", &old));
    ck_err(ask_only(MAC, "k2"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *both = only();
    ck_assert_int_eq(both->status, DEVICE_ACCEPTED);
    ck_assert_uint_eq(both->sets, 2);
    ck_ok(decide(both, 1, DEVICE_ACCEPTED));
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(ask(MAC, "k2", &token));
    ck_ok(alive(token));
    ck_err(alive(old), ERR_UNAUTHORIZED);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    finish();
}
END_TEST

START_TEST(a_preauthorized_device_is_let_in_at_once)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    ck_ok(preauthorize(MAC, "k1", false, &id));
    AUTO(device_free) struct device *device = only();
    ck_assert_str_eq(device->id, id);
    ck_assert_int_eq(device->status, DEVICE_PREAUTHORIZED);
    ck_err(preauthorize(MAC, "k1", false, &id), ERR_DEVICE_EXISTS);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(ask(MAC, "k1", &token));
    ck_ok(alive(token));
    finish();
}
END_TEST

START_TEST(the_limit_holds_for_decisions_and_for_preauthorized_ones)
{
    begin(_i);
    ck_ok(device_limit_set(fleet.db, "", 0));
    AUTO(mem_free) char *id = NULL;
    ck_ok(preauthorize(MAC, "k1", false, &id));
    ck_err(ask_only(MAC, "k1"), ERR_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_assert_int_eq(device->set[0].status, DEVICE_PREAUTHORIZED);
    ck_ok(device_limit_clear(fleet.db, ""));
    ck_ok(ask_only(MAC, "k1"));
    finish();
}
END_TEST

START_TEST(a_deleted_set_comes_back_as_pending)
{
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_err(device_admit_delete_set(&fleet, "", "other", device->set[0].id, "r"), ERR_AUTH_SET_NOT_FOUND);
    ck_ok(device_admit_delete_set(&fleet, "", device->id, device->set[0].id, "r"));
    AUTO(device_free) struct device *empty = only();
    ck_assert_int_eq(empty->status, DEVICE_NOAUTH);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *back = only();
    ck_assert_int_eq(back->status, DEVICE_PENDING);
    finish();
}
END_TEST

START_TEST(a_preauthorized_device_goes_with_its_last_set)
{
    begin(_i);
    AUTO(mem_free) char *id = NULL;
    ck_ok(preauthorize(MAC, "k1", false, &id));
    AUTO(device_free) struct device *device = only();
    ck_ok(device_admit_delete_set(&fleet, "", id, device->set[0].id, "r"));
    AUTO(device_free) struct device *gone = NULL;
    ck_err(device_get(fleet.db, "", id, &gone), ERR_DEVICE_NOT_FOUND);
    finish();
}
END_TEST

START_TEST(without_an_engine_decommissioning_deletes)
{
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_ok(decide(device, 0, DEVICE_ACCEPTED));
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(ask(MAC, "k1", &token));
    ck_ok(device_admit_decommission(&fleet, "", device->id, "r"));
    ck_err(alive(token), ERR_UNAUTHORIZED);
    ck_err(device_admit_decommission(&fleet, "", device->id, "r"), ERR_DEVICE_NOT_FOUND);
    finish();
}
END_TEST

START_TEST(a_revoked_token_stays_dead_when_there_is_a_new_one)
{
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_ok(decide(device, 0, DEVICE_ACCEPTED));
    AUTO(mem_wipe) char *stolen = NULL;
    AUTO(mem_wipe) char *fresh = NULL;
    AUTO(mem_wipe) char *second = NULL;
    ck_ok(ask(MAC, "k1", &stolen));
    ck_ok(device_admit_revoke(&fleet, "", device->set[0].id));
    ck_err(device_admit_revoke(&fleet, "", device->set[0].id), ERR_NOT_FOUND);
    clock_set(NOW_MS + 1000);
    ck_ok(ask(MAC, "k1", &fresh));
    ck_ok(alive(fresh));
    ck_err(alive(stolen), ERR_UNAUTHORIZED);
    clock_set(NOW_MS + 9000);
    ck_ok(ask(MAC, "k1", &second));
    ck_ok(alive(second));
    ck_ok(alive(fresh));
    finish();
}
END_TEST

/* What no row can have is not found, and is no error of the database. */
static int64_t row_until(void)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(fleet.db, "SELECT expires_ms FROM device_tokens", DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

START_TEST(asking_again_writes_a_row_once_a_lifetime)
{
    static const int64_t lifetime_ms = 604800 * INT64_C(1000);
    static const int64_t start_ms = NOW_MS / 1000 * 1000; /* claims have seconds */
    AUTO(mem_wipe) char *first = NULL;
    AUTO(mem_wipe) char *last = NULL;
    AUTO(mem_wipe) char *late = NULL;
    begin(_i);
    ck_err(ask_only(MAC, "k1"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_ok(decide(device, 0, DEVICE_ACCEPTED));
    ck_ok(ask(MAC, "k1", &first));
    ck_assert_int_eq(row_until(), start_ms + 2 * lifetime_ms);
    clock_set(start_ms + lifetime_ms);
    ck_ok(ask(MAC, "k1", &last));
    ck_assert_int_eq(row_until(), start_ms + 2 * lifetime_ms);
    clock_set(start_ms + lifetime_ms + 1000);
    ck_err(alive(first), ERR_TOKEN_INVALID);
    ck_ok(alive(last));
    ck_ok(ask(MAC, "k1", &late));
    ck_assert_int_eq(row_until(), start_ms + 3 * lifetime_ms + 1000);
    ck_ok(alive(late));
    clock_set(start_ms + 2 * lifetime_ms - 1000);
    ck_ok(alive(last)); /* to its own end, and no further */
    clock_set(start_ms + 2 * lifetime_ms);
    ck_err(alive(last), ERR_TOKEN_INVALID);
    finish();
}
END_TEST

START_TEST(ids_may_be_any_bytes)
{
    begin(_i);
    AUTO(mem_free) char *huge = mem_calloc(100001, 1);
    memset(huge, 'a', 100000);
    const char *const hostile[] = {"\xff", "\xc0\x80",         "\xed\xa0\x80", "'; DROP TABLE devices; --",
                                   "%",    "\xf4\x90\x80\x80", huge,           ""};
    const struct device_filter every = {.status = {true, true, true, true, true}};
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        const char *id = hostile[i];
        AUTO(device_free) struct device *device = NULL;
        struct device_filter named = every;
        struct device **list = NULL;
        size_t n = 0;
        int64_t count = -1;
        named.id = &id;
        named.ids = 1;
        named.has_ids = true;
        ck_err(device_get(fleet.db, "", id, &device), ERR_DEVICE_NOT_FOUND);
        ck_err(device_get(fleet.db, id, "x", &device), ERR_DEVICE_NOT_FOUND);
        ck_ok(device_list(fleet.db, "", &named, 0, 10, &list, &n));
        ck_assert_uint_eq(n, 0);
        device_list_free(&list, n);
        ck_ok(device_list(fleet.db, id, &every, 0, 10, &list, &n));
        ck_assert_uint_eq(n, 0);
        device_list_free(&list, n);
        ck_ok(device_count(fleet.db, id, &every, &count));
        ck_assert_int_eq(count, 0);
        ck_err(device_admit_set_status(&fleet, "", id, id, DEVICE_ACCEPTED, "r"), ERR_AUTH_SET_NOT_FOUND);
        ck_err(device_admit_delete_set(&fleet, "", id, id, "r"), ERR_AUTH_SET_NOT_FOUND);
        ck_err(device_admit_decommission(&fleet, "", id, "r"), ERR_DEVICE_NOT_FOUND);
        ck_err(device_admit_delete(&fleet, "", id), ERR_DEVICE_NOT_FOUND);
        ck_err(device_admit_set_provisioned(&fleet, "", id, true), ERR_DEVICE_NOT_FOUND);
        ck_err(device_admit_revoke(&fleet, "", id), ERR_NOT_FOUND);
        ck_ok(device_admit_revoke_all(&fleet, "", id));
        ck_ok(device_admit_revoke_all(&fleet, id, NULL));
        ck_ok(device_limit_get(fleet.db, id, &count));
        ck_assert_int_eq(count, DEVICE_LIMIT_NONE);
        ck_ok(device_limit_clear(fleet.db, id));
    }
    ck_err(device_limit_set(fleet.db, "\xff", 1), ERR_INVALID);
    finish();
}
END_TEST

START_TEST(is_written_in_the_wire_form)
{
    begin(_i);
    ck_err(ask_only(MAC, "a\nkey"), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    AUTO(mem_free) char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    device_write(out, device, true);
    fclose(out);
    AUTO(mem_free)
    char *want = mem_printf("{\"id\":\"%s\",\"identity_data\":" MAC ",\"status\":\"pending\",\"decommissioning\":false,"
                            "\"created_ts\":\"2026-09-21T14:13:20.12Z\",\"updated_ts\":\"2026-09-21T14:13:20.12Z\","
                            "\"auth_sets\":[{\"id\":\"%s\",\"identity_data\":" MAC ",\"pubkey\":\"a\\nkey\","
                            "\"ts\":\"2026-09-21T14:13:20.12Z\",\"status\":\"pending\"}]}",
                            device->id, device->set[0].id);
    ck_assert_str_eq(text, want);
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device");
    TCase *tc = tcase_create("device");
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, a_device_waits_until_it_is_accepted, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, rejecting_kills_the_token_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_new_key_takes_over_when_it_is_accepted, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_preauthorized_device_is_let_in_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_limit_holds_for_decisions_and_for_preauthorized_ones, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_deleted_set_comes_back_as_pending, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_preauthorized_device_goes_with_its_last_set, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, without_an_engine_decommissioning_deletes, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_revoked_token_stays_dead_when_there_is_a_new_one, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, asking_again_writes_a_row_once_a_lifetime, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, ids_may_be_any_bytes, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, is_written_in_the_wire_form, 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
