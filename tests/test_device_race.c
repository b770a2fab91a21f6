/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/device_enrol.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/device_admit.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "lib/rand.h"
#include "tests/fleet_fixture.h"
#include "tests/support.h"

#define MAC "{\"mac\":\"02:00:00:00:00:01\"}"

enum { CROWD = 64, CROWD_FEW = 16, KEYS = 16, ASKERS = 3, RACERS_MAX = CROWD, ROUNDS = 10, ROUNDS_FEW = 2, LIMIT = 4 };

static struct fleet_fixture f;

/* Somebody who does one thing at the same time as the others. */
struct racer {
    enum err (*run)(struct racer *racer);
    char id_data[64];
    char key[16];
    char device_id[RAND_UUID_SIZE];
    char set_id[RAND_UUID_SIZE];
    enum device_status status;
    enum err result;
    char *token; /* the last that it got */
    pthread_t thread;
    pthread_barrier_t *start;
};

static struct racer racer[RACERS_MAX];
static size_t racers;

static void *race(void *arg)
{
    struct racer *r = arg;
    pthread_barrier_wait(r->start);
    r->result = r->run(r);
    return NULL;
}

static void race_all(void)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, (unsigned)racers);
    for (size_t i = 0; i < racers; i++) {
        racer[i].start = &start;
        ck_assert_int_eq(pthread_create(&racer[i].thread, NULL, race, &racer[i]), 0);
    }
    for (size_t i = 0; i < racers; i++)
        pthread_join(racer[i].thread, NULL);
    pthread_barrier_destroy(&start);
}

static void clear(void)
{
    for (size_t i = 0; i < racers; i++)
        mem_wipe(&racer[i].token);
    racers = 0;
}

static void finish(void)
{
    clear();
    fleet_fixture_release(&f);
}

static struct racer *add(enum err (*run)(struct racer *), const char *id_data, const char *key)
{
    struct racer *r = &racer[racers++];
    *r = (struct racer){.run = run};
    snprintf(r->id_data, sizeof r->id_data, "%s", id_data);
    snprintf(r->key, sizeof r->key, "%s", key);
    return r;
}

/* One who does something to a device's set. */
static struct racer *add_for(enum err (*run)(struct racer *), const struct device *device, size_t set)
{
    struct racer *r = add(run, "", "");
    snprintf(r->device_id, sizeof r->device_id, "%s", device->id);
    snprintf(r->set_id, sizeof r->set_id, "%s", device->set[set].id);
    return r;
}

static enum err ask(struct racer *r)
{
    const struct device_identity identity = fleet_fixture_identity("", r->id_data, r->key);
    AUTO(mem_wipe) char *token = NULL;
    enum err e = device_enrol(&f.fleet, &identity, &f.fleet.plan, "r", true, &token);
    if (e == ERR_OK) {
        mem_wipe(&r->token);
        r->token = MOVE(token);
    }
    return e;
}

/* Some times, with whatever comes of it; not with an error that is no answer to a device. */
static enum err keep_asking(struct racer *r)
{
    for (int i = 0; i < 5; i++) {
        enum err e = ask(r);
        if (e != ERR_OK && e != ERR_DEVICE_UNAUTHORIZED)
            return e;
    }
    return ERR_OK;
}

static enum err decide(struct racer *r)
{
    return device_admit_set_status(&f.fleet, "", r->device_id, r->set_id, r->status, "r");
}

static enum err accept_and_reject(struct racer *r)
{
    for (int i = 0; i < 3; i++) {
        r->status = i % 2 == 0 ? DEVICE_ACCEPTED : DEVICE_REJECTED;
        TRY(decide(r));
    }
    return ERR_OK;
}

static enum err decommission(struct racer *r)
{
    return device_admit_decommission(&f.fleet, "", r->device_id, "r");
}

static enum err delete_device(struct racer *r)
{
    return device_admit_delete(&f.fleet, "", r->device_id);
}

static enum err delete_set(struct racer *r)
{
    return device_admit_delete_set(&f.fleet, "", r->device_id, r->set_id, "r");
}

static enum err revoke(struct racer *r)
{
    enum err e = device_admit_revoke(&f.fleet, "", r->set_id);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

/* The devices that there are, in the order of their ids. */
static struct device **every_device(size_t want)
{
    static const struct device_filter every = {.status = {true, true, true, true, true}};
    struct device **list = NULL;
    size_t n = 0;
    ck_ok(device_list(f.fleet.db, "", &every, 0, 100, &list, &n));
    ck_assert_uint_eq(n, want);
    return list;
}

static struct device *only(void)
{
    struct device **list = every_device(1);
    struct device *device = list[0];
    free(list);
    return device;
}

static int64_t accepted(void)
{
    static const struct device_filter filter = {.status = {[DEVICE_ACCEPTED] = true}};
    int64_t n = 0;
    ck_ok(device_count(f.fleet.db, "", &filter, &n));
    return n;
}

static int64_t token_rows(void)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(f.fleet.db, "SELECT COUNT(*) FROM device_tokens", DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

static size_t calls_of(const char *workflow)
{
    size_t n = 0;
    for (size_t i = 0; i < engine_count(f.engine); i++)
        n += strstr(engine_request(f.engine, i), workflow) != NULL;
    return n;
}

static size_t count_results(enum err e)
{
    size_t n = 0;
    for (size_t i = 0; i < racers; i++)
        n += racer[i].result == e;
    return n;
}

static void expect_results(enum err e)
{
    for (size_t i = 0; i < racers; i++)
        ck_assert_msg(racer[i].result == e, "racer %zu: %s, not %s", i, err_name(racer[i].result), err_name(e));
}

static void expect_dead_tokens(void)
{
    for (size_t i = 0; i < racers; i++)
        if (racer[i].token != NULL)
            ck_err(fleet_fixture_alive(&f, racer[i].token), ERR_UNAUTHORIZED);
}

/* A device whose only set, of this key, is accepted. */
static struct device *accepted_device(const char *id_data, const char *key)
{
    struct racer asker = {.run = ask};
    snprintf(asker.id_data, sizeof asker.id_data, "%s", id_data);
    snprintf(asker.key, sizeof asker.key, "%s", key);
    ck_err(ask(&asker), ERR_DEVICE_UNAUTHORIZED);
    struct device *device = only();
    ck_ok(device_admit_set_status(&f.fleet, "", device->id, device->set[0].id, DEVICE_ACCEPTED, "r"));
    ck_ok(ask(&asker));
    ck_ok(fleet_fixture_alive(&f, asker.token));
    mem_wipe(&asker.token);
    return device;
}

START_TEST(identical_first_requests_make_one_device)
{
    int crowd = support_times(CROWD, CROWD_FEW);
    fleet_fixture_init(&f, _i, 1000);
    fleet_fixture_engine(&f);
    for (int i = 0; i < crowd; i++)
        add(ask, MAC, "k1");
    race_all();
    expect_results(ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_assert_int_eq(device->status, DEVICE_PENDING);
    ck_assert_uint_eq(device->sets, 1);
    ck_assert_uint_eq(calls_of("update_device_inventory"), 1);
    ck_assert_uint_eq(calls_of("update_device_status"), 1);
    ck_assert_uint_eq(engine_count(f.engine), 2);
    finish();
}
END_TEST

START_TEST(different_keys_make_one_device)
{
    fleet_fixture_init(&f, _i, 1000);
    for (int i = 0; i < KEYS; i++) {
        struct racer *r = add(ask, MAC, "");
        snprintf(r->key, sizeof r->key, "key %d", i);
    }
    race_all();
    expect_results(ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *device = only();
    ck_assert_int_eq(device->status, DEVICE_PENDING);
    ck_assert_uint_eq(device->sets, KEYS);
    for (size_t i = 0; i < device->sets; i++)
        ck_assert_int_eq(device->set[i].status, DEVICE_PENDING);
    finish();
}
END_TEST

START_TEST(an_accepted_crowd_gets_tokens_of_one_set)
{
    int crowd = support_times(CROWD, CROWD_FEW);
    fleet_fixture_init(&f, _i, 1000);
    device_free(&(struct device *){accepted_device(MAC, "k1")});
    for (int i = 0; i < crowd; i++)
        add(ask, MAC, "k1");
    race_all();
    expect_results(ERR_OK);
    for (size_t i = 0; i < racers; i++)
        ck_ok(fleet_fixture_alive(&f, racer[i].token));
    ck_assert_int_eq(token_rows(), 1);
    finish();
}
END_TEST

/* Half of them are accepted, half ask for what they were promised. */
START_TEST(the_limit_holds_against_racers)
{
    fleet_fixture_init(&f, _i, 1000);
    ck_ok(device_limit_set(f.fleet.db, "", LIMIT));
    for (int i = 0; i < KEYS; i++) {
        AUTO(mem_free) char *id_data = mem_printf("{\"mac\":\"%d\"}", i);
        const struct device_identity identity = fleet_fixture_identity("", id_data, "k1");
        AUTO(mem_free) char *id = NULL;
        AUTO(device_free) struct device *known = NULL;
        struct racer *r = add(ask, id_data, "k1");
        if (i % 2 == 0) {
            ck_ok(device_admit_preauthorize(&f.fleet, &identity, false, "r", &id, &known));
            continue;
        }
        ck_err(ask(r), ERR_DEVICE_UNAUTHORIZED);
        racers--;
    }
    struct device **list = every_device(KEYS);
    for (int i = 0; i < KEYS; i++)
        if (list[i]->status == DEVICE_PENDING)
            add_for(decide, list[i], 0)->status = DEVICE_ACCEPTED;
    device_list_free(&list, KEYS);
    ck_assert_uint_eq(racers, KEYS);
    race_all();
    ck_assert_uint_eq(count_results(ERR_OK), LIMIT);
    ck_assert_uint_eq(count_results(ERR_DEVICE_LIMIT) + count_results(ERR_UNAUTHORIZED), KEYS - LIMIT);
    ck_assert_int_eq(accepted(), LIMIT);
    finish();
}
END_TEST

/* Whoever was last: what is shown, what the set is and what its tokens are worth agree. */
START_TEST(accept_and_reject_leave_nothing_half_done)
{
    fleet_fixture_init(&f, _i, 1000);
    AUTO(device_free) struct device *device = accepted_device(MAC, "k1");
    for (int round = 0; round < support_times(ROUNDS, ROUNDS_FEW); round++) {
        for (int i = 0; i < ASKERS; i++)
            add(keep_asking, MAC, "k1");
        add_for(accept_and_reject, device, 0);
        add_for(decide, device, 0)->status = DEVICE_REJECTED;
        add_for(revoke, device, 0);
        race_all();
        expect_results(ERR_OK);
        AUTO(device_free) struct device *now = only();
        ck_assert_int_eq(now->status, now->set[0].status);
        ck_assert(now->status == DEVICE_ACCEPTED || now->status == DEVICE_REJECTED);
        if (now->status == DEVICE_ACCEPTED)
            ck_ok(device_admit_set_status(&f.fleet, "", device->id, device->set[0].id, DEVICE_REJECTED, "r"));
        expect_dead_tokens();
        ck_assert_int_eq(token_rows(), 0);
        clear();
    }
    finish();
}
END_TEST

START_TEST(one_of_two_keys_is_accepted)
{
    fleet_fixture_init(&f, _i, 1000);
    device_free(&(struct device *){accepted_device(MAC, "k1")});
    struct racer other = {.run = ask, .id_data = MAC, .key = "k2"};
    ck_err(ask(&other), ERR_DEVICE_UNAUTHORIZED);
    for (int round = 0; round < support_times(ROUNDS, ROUNDS_FEW); round++) {
        AUTO(device_free) struct device *device = only();
        add(keep_asking, MAC, "k1");
        add(keep_asking, MAC, "k2");
        add_for(decide, device, 0)->status = DEVICE_ACCEPTED;
        add_for(decide, device, 1)->status = DEVICE_ACCEPTED;
        race_all();
        expect_results(ERR_OK);
        AUTO(device_free) struct device *now = only();
        ck_assert_int_eq(now->status, DEVICE_ACCEPTED);
        size_t loser = now->set[0].status == DEVICE_ACCEPTED;
        ck_assert_int_eq(now->set[1 - loser].status, DEVICE_ACCEPTED);
        ck_assert_int_eq(now->set[loser].status, DEVICE_REJECTED);
        if (racer[loser].token != NULL)
            ck_err(fleet_fixture_alive(&f, racer[loser].token), ERR_UNAUTHORIZED);
        ck_assert_int_le(token_rows(), 1);
        clear();
    }
    finish();
}
END_TEST

/* What ends a device or its set, while it asks. With an engine of workflows decommissioning only marks. */
static void end_while_asking(int db_engine, bool has_workflows, enum err (*end)(struct racer *))
{
    fleet_fixture_init(&f, db_engine, 1000);
    if (has_workflows)
        fleet_fixture_engine(&f);
    for (int round = 0; round < support_times(ROUNDS, ROUNDS_FEW); round++) {
        AUTO(device_free) struct device *device = accepted_device(MAC, "k1");
        for (int i = 0; i < ASKERS; i++)
            add(keep_asking, MAC, "k1");
        add_for(end, device, 0);
        race_all();
        expect_results(ERR_OK);
        expect_dead_tokens();
        if (!has_workflows)
            ck_assert_int_eq(token_rows(), 0);
        clear();
        /* it may have come back, as one that waits */
        static const struct device_filter every = {.status = {true, true, true, true, true}};
        struct device **list = NULL;
        size_t n = 0;
        ck_ok(device_list(f.fleet.db, "", &every, 0, 10, &list, &n));
        for (size_t i = 0; i < n; i++) {
            ck_assert(list[i]->is_decommissioning || list[i]->status != DEVICE_ACCEPTED);
            ck_ok(device_admit_delete(&f.fleet, "", list[i]->id));
        }
        device_list_free(&list, n);
        ck_assert_int_eq(token_rows(), 0);
    }
    finish();
}

START_TEST(decommissioning_while_it_asks)
{
    end_while_asking(_i % SUPPORT_ENGINES, _i >= SUPPORT_ENGINES, decommission);
}
END_TEST

START_TEST(deleting_while_it_asks)
{
    end_while_asking(_i, false, delete_device);
}
END_TEST

START_TEST(deleting_its_set_while_it_asks)
{
    end_while_asking(_i, false, delete_set);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device_race");
    TCase *tc = tcase_create("device_race");
    tcase_set_timeout(tc, 120);
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, identical_first_requests_make_one_device, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, different_keys_make_one_device, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_accepted_crowd_gets_tokens_of_one_set, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_limit_holds_against_racers, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, accept_and_reject_leave_nothing_half_done, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, one_of_two_keys_is_accepted, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, decommissioning_while_it_asks, 0, 2 * SUPPORT_ENGINES);
    tcase_add_loop_test(tc, deleting_while_it_asks, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, deleting_its_set_while_it_asks, 0, SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
