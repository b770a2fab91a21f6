/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random sequences of everything that can happen to devices, on the real thing and on tests/fleet_model.h: results,
 * devices, sets and the liveness of every token must be the same after each step. A sequence that fails is printed with
 * its seed (MINTD_TEST_SEED repeats it), cut down to the steps that it needs. MINTD_TEST_STEPS is how many are taken on
 * each engine; `make model` takes 100,000.
 */
#include "auth/device.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/device_admit.h"
#include "auth/device_enrol.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/fleet_fixture.h"
#include "tests/fleet_model.h"
#include "tests/support.h"

enum {
    STEPS = 3000, /* on each engine of storage, half of them with an engine of workflows */
    STEPS_FEW = 500,
    SEQUENCE = 250,   /* steps until all is empty again */
    CALLS_MAX = 2000, /* that a workflow engine remembers, before there is a new one */
    KNOWN_MAX = SEQUENCE,
    TRIES_MAX = 400, /* to cut a failure down */
    LIFETIME_S = 40,
    WHY_SIZE = 512,
};

#define START_MS INT64_C(1790000000000)

enum kind {
    ASK,
    SET_STATUS,
    PREAUTHORIZE,
    DELETE_SET,
    DECOMMISSION,
    DELETE,
    SET_PROVISIONED,
    REVOKE,
    REVOKE_DEVICE,
    REVOKE_TENANT,
    SET_LIMIT,
    CLEAR_LIMIT,
    SWEEP,
    WAIT,
};

/* What is done, how often, and its name in a trace. */
static const struct {
    const char *name;
    int weight;
} kinds[] = {
    [ASK] = {"ask", 34},
    [SET_STATUS] = {"set status", 24},
    [PREAUTHORIZE] = {"preauthorize", 8},
    [DELETE_SET] = {"delete set", 6},
    [DECOMMISSION] = {"decommission", 2},
    [DELETE] = {"delete", 2},
    [SET_PROVISIONED] = {"set provisioned", 3},
    [REVOKE] = {"revoke", 4},
    [REVOKE_DEVICE] = {"revoke the device's", 2},
    [REVOKE_TENANT] = {"revoke the tenant's", 1},
    [SET_LIMIT] = {"set limit", 4},
    [CLEAR_LIMIT] = {"clear limit", 4},
    [SWEEP] = {"sweep", 2},
    [WAIT] = {"wait", 8},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* One step; what the numbers mean depends on what there is when it is its turn. */
struct step {
    enum kind kind;
    uint32_t pick[4];
};

/* A set or, without set_id, a device that is or was there. */
struct known {
    int tenant;
    char device_id[RAND_UUID_SIZE];
    char set_id[RAND_UUID_SIZE];
};

struct issued {
    int tenant;
    char jti[CLAIMS_TEXT_SIZE];
    int64_t issued_s;
    char *text;
};

static const char *const tenants[FLEET_MODEL_TENANTS] = {"", "6650f5bea3a1b1b6b5a0f001"};
static const char *const identities[FLEET_MODEL_IDENTITIES] = {"{\"mac\":\"1\"}", "{\"mac\":\"2\"}", "{\"mac\":\"3\"}"};
static const char *const keys[FLEET_MODEL_KEYS] = {"key 1", "key 2", "key 3"};

static struct fleet_fixture f;

/* What one sequence has made so far. */
static struct {
    struct fleet_model model;
    struct known set[KNOWN_MAX];
    size_t sets;
    struct known device[KNOWN_MAX];
    size_t devices;
    struct issued token[KNOWN_MAX];
    size_t tokens;
    int64_t now_ms;
    int touched;      /* the tenant of the last step */
    size_t calls_old; /* of the engine, before this sequence */
} world;

static void begin(int engine)
{
    fleet_fixture_init(&f, engine, LIFETIME_S);
    /* nothing here is to survive a power cut: not what the writer's connection writes, nor what scripts do */
    if (engine == 0) {
        ck_ok(db_exec(f.fleet.db, "PRAGMA synchronous = OFF", DB_ARGS(), NULL));
        ck_ok(db_script(f.fleet.db, "PRAGMA synchronous = OFF"));
    }
}

/* Everything gone, and long after all that was before. */
static void start_over(void)
{
    for (size_t i = 0; i < world.tokens; i++)
        mem_wipe(&world.token[i].text);
    int64_t now_ms = world.now_ms != 0 ? world.now_ms + LIFETIME_S * 2000 : START_MS;
    memset(&world, 0, sizeof world);
    world.now_ms = now_ms;
    world.model.lifetime_s = LIFETIME_S;
    world.model.has_engine = f.fleet.outbox != NULL;
    if (f.engine != NULL && engine_count(f.engine) > CALLS_MAX)
        fleet_fixture_engine(&f);
    world.calls_old = f.engine != NULL ? engine_count(f.engine) : 0;
    for (int i = 0; i < FLEET_MODEL_TENANTS; i++)
        world.model.limit[i] = DEVICE_LIMIT_NONE;
    clock_set(world.now_ms);
    world.model.now_s = clock_s();
    ck_ok(db_script(f.fleet.db, "DELETE FROM devices; DELETE FROM limits; DELETE FROM device_events"));
    issuer_revoked(f.fleet.tokens);
}

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static enum kind kind_of(uint64_t random)
{
    int all = 0;
    for (size_t i = 0; i < KINDS; i++)
        all += kinds[i].weight;
    int left = (int)(random % (uint64_t)all);
    size_t kind = 0;
    while (left >= kinds[kind].weight)
        left -= kinds[kind++].weight;
    return (enum kind)kind;
}

static void make_steps(uint64_t seed, struct step *step, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        step[i].kind = kind_of(next_random(&seed) >> 8);
        for (int j = 0; j < 4; j++)
            step[i].pick[j] = (uint32_t)next_random(&seed);
    }
}

/* Whom a step is about: mostly the last that were made, and often with a wrong tenant or device. */
static struct known target(const struct step *step, const struct known *list, size_t n)
{
    struct known found = {.tenant = (int)(step->pick[1] % FLEET_MODEL_TENANTS)};
    rand_uuid(found.device_id);
    rand_uuid(found.set_id);
    if (n == 0)
        return found;
    size_t window = step->pick[1] % 4 == 0 || n < 8 ? n : 8;
    found = list[n - 1 - step->pick[0] % window];
    if (step->pick[2] % 16 == 0)
        found.tenant = 1 - found.tenant;
    if (step->pick[2] % 16 == 1)
        memcpy(found.device_id, list[step->pick[1] % n].device_id, sizeof found.device_id);
    return found;
}

static enum err same(enum err got, enum err want, char why[WHY_SIZE])
{
    if (got == want)
        return ERR_OK;
    snprintf(why, WHY_SIZE, "gave %s, not %s", err_name(got), err_name(want));
    return ERR_INVALID;
}

static void keep_token(int tenant, char **text)
{
    struct issuer_token checked;
    ck_ok(issuer_check(f.fleet.tokens, *text, strlen(*text), &checked));
    ck_assert_str_eq(checked.claims.tenant, tenants[tenant]);
    struct issued *token = &world.token[world.tokens++];
    *token = (struct issued){.tenant = tenant, .issued_s = checked.claims.iat, .text = MOVE(*text)};
    memcpy(token->jti, checked.claims.jti, sizeof token->jti);
}

/* Somebody of the few that there are. */
struct asker {
    int tenant;
    int identity;
    int key;
    struct device_identity is;
};

static struct asker asker_of(const struct step *step)
{
    struct asker asker = {.tenant = world.touched = step->pick[0] % 8 == 0,
                          .identity = (int)(step->pick[1] % FLEET_MODEL_IDENTITIES),
                          .key = (int)(step->pick[2] % FLEET_MODEL_KEYS)};
    asker.is = (struct device_identity){.tenant = tenants[asker.tenant],
                                        .id_data = identities[asker.identity],
                                        .pubkey = keys[asker.key]};
    snprintf(asker.is.id_hash, sizeof asker.is.id_hash, "%s", asker.is.id_data);
    snprintf(asker.is.key_hash, sizeof asker.is.key_hash, "%s", asker.is.pubkey);
    return asker;
}

static enum err do_ask(const struct step *step, char why[WHY_SIZE])
{
    const struct asker asker = asker_of(step);
    AUTO(mem_wipe) char *token = NULL;
    enum err got = device_enrol(&f.fleet, &asker.is, &f.fleet.plan, "r", true, &token);
    if (got == ERR_OK)
        keep_token(asker.tenant, &token);
    return same(got, fleet_model_ask(&world.model, asker.tenant, asker.identity, asker.key), why);
}

static enum err do_preauthorize(const struct step *step, char why[WHY_SIZE])
{
    const struct asker asker = asker_of(step);
    bool force = step->pick[3] % 4 != 0;
    AUTO(mem_free) char *id = NULL;
    AUTO(device_free) struct device *conflict = NULL;
    enum err got = device_admit_preauthorize(&f.fleet, &asker.is, force, "r", &id, &conflict);
    const struct fleet_model_device *device = &world.model.device[asker.tenant][asker.identity];
    const char *seen = got == ERR_OK ? id : conflict != NULL ? conflict->id : "";
    if (device->is_there && strcmp(device->id, seen) != 0) {
        snprintf(why, WHY_SIZE, "named %s, not %s", seen, device->id);
        return ERR_INVALID;
    }
    return same(got, fleet_model_preauthorize(&world.model, asker.tenant, asker.identity, asker.key, force), why);
}

static enum err do_to_set(const struct step *step, char why[WHY_SIZE])
{
    static const enum device_status wanted[] = {DEVICE_ACCEPTED, DEVICE_REJECTED, DEVICE_PENDING, DEVICE_ACCEPTED};
    const struct known to = target(step, world.set, world.sets);
    const char *tenant = tenants[world.touched = to.tenant];
    if (step->kind == REVOKE)
        return same(device_admit_revoke(&f.fleet, tenant, to.set_id),
                    fleet_model_revoke(&world.model, to.tenant, to.set_id), why);
    if (step->kind == DELETE_SET)
        return same(device_admit_delete_set(&f.fleet, tenant, to.device_id, to.set_id, "r"),
                    fleet_model_delete_set(&world.model, to.tenant, to.device_id, to.set_id), why);
    enum device_status status = wanted[step->pick[3] % (sizeof wanted / sizeof *wanted)];
    return same(device_admit_set_status(&f.fleet, tenant, to.device_id, to.set_id, status, "r"),
                fleet_model_set_status(&world.model, to.tenant, to.device_id, to.set_id, status), why);
}

static enum err do_to_device(const struct step *step, char why[WHY_SIZE])
{
    const struct known to = target(step, world.device, world.devices);
    const char *tenant = tenants[world.touched = to.tenant];
    bool flag = step->pick[3] % 2 == 0;
    if (step->kind == DECOMMISSION)
        return same(device_admit_decommission(&f.fleet, tenant, to.device_id, "r"),
                    fleet_model_decommission(&world.model, to.tenant, to.device_id), why);
    if (step->kind == DELETE)
        return same(device_admit_delete(&f.fleet, tenant, to.device_id),
                    fleet_model_delete(&world.model, to.tenant, to.device_id), why);
    if (step->kind == SET_PROVISIONED)
        return same(device_admit_set_provisioned(&f.fleet, tenant, to.device_id, flag),
                    fleet_model_set_provisioned(&world.model, to.tenant, to.device_id, flag), why);
    const char *device_id = step->kind == REVOKE_DEVICE ? to.device_id : NULL;
    fleet_model_revoke_all(&world.model, to.tenant, device_id);
    return same(device_admit_revoke_all(&f.fleet, tenant, device_id), ERR_OK, why);
}

static enum err do_to_limit(const struct step *step, char why[WHY_SIZE])
{
    static const int64_t values[] = {-5, -1, 0, 1, 1, 2, 2, 3};
    int tenant = world.touched = step->pick[0] % 8 == 0;
    int64_t value = values[step->pick[1] % (sizeof values / sizeof *values)];
    int64_t got = 0;
    world.model.limit[tenant] = step->kind == SET_LIMIT ? value : DEVICE_LIMIT_NONE;
    if (step->kind == SET_LIMIT)
        ck_ok(device_limit_set(f.fleet.db, tenants[tenant], value));
    else
        ck_ok(device_limit_clear(f.fleet.db, tenants[tenant]));
    ck_ok(device_limit_get(f.fleet.db, tenants[tenant], &got));
    if (got == world.model.limit[tenant])
        return ERR_OK;
    snprintf(why, WHY_SIZE, "gave %" PRId64, got);
    return ERR_INVALID;
}

static enum err do_sweep(char why[WHY_SIZE])
{
    int64_t deleted = 0;
    ck_ok(issuer_sweep(f.fleet.tokens, 1000, &deleted));
    int want = fleet_model_sweep(&world.model);
    if (deleted == want)
        return ERR_OK;
    snprintf(why, WHY_SIZE, "swept %" PRId64 ", not %d", deleted, want);
    return ERR_INVALID;
}

/* Mostly too short for what is remembered of tokens to be forgotten. */
static enum err do_wait(const struct step *step)
{
    static const int waits_ms[] = {100, 300, 1000, 7000};
    world.now_ms += waits_ms[step->pick[0] % (sizeof waits_ms / sizeof *waits_ms)];
    clock_set(world.now_ms);
    world.model.now_s = clock_s();
    return ERR_OK;
}

static enum err do_step(const struct step *step, char why[WHY_SIZE])
{
    switch (step->kind) {
    case ASK:
        return do_ask(step, why);
    case PREAUTHORIZE:
        return do_preauthorize(step, why);
    case SET_STATUS:
    case DELETE_SET:
    case REVOKE:
        return do_to_set(step, why);
    case DECOMMISSION:
    case DELETE:
    case SET_PROVISIONED:
    case REVOKE_DEVICE:
    case REVOKE_TENANT:
        return do_to_device(step, why);
    case SET_LIMIT:
    case CLEAR_LIMIT:
        return do_to_limit(step, why);
    case SWEEP:
        return do_sweep(why);
    case WAIT:
        return do_wait(step);
    }
    return ERR_INVALID;
}

/* Ids are the real thing's: the model learns them when it sees them first. */
static bool is_or_becomes(char id[RAND_UUID_SIZE], const char *seen, struct known *list, size_t *n, struct known as)
{
    if (*id == '\0' && strlen(seen) < RAND_UUID_SIZE) {
        snprintf(id, RAND_UUID_SIZE, "%s", seen);
        list[(*n)++] = as;
    }
    return strcmp(id, seen) == 0;
}

static bool is_same_set(int tenant, const struct device *device, size_t i, struct fleet_model_set *want)
{
    const struct auth_set *set = &device->set[i];
    struct known as = {.tenant = tenant};
    snprintf(as.device_id, sizeof as.device_id, "%s", device->id);
    snprintf(as.set_id, sizeof as.set_id, "%s", set->id);
    return is_or_becomes(want->id, set->id, world.set, &world.sets, as) && set->status == want->status &&
           strcmp(set->pubkey, keys[want->key]) == 0;
}

static bool is_same_device(int tenant, const struct device *device, struct fleet_model_device *want)
{
    struct known as = {.tenant = tenant};
    snprintf(as.device_id, sizeof as.device_id, "%s", device->id);
    bool is_same = want->is_there && is_or_becomes(want->id, device->id, world.device, &world.devices, as) &&
                   device->status == want->status && device->is_decommissioning == want->is_decommissioning &&
                   device->is_provisioned == want->is_provisioned && device->sets == (size_t)want->sets;
    for (size_t i = 0; is_same && i < device->sets; i++)
        is_same = is_same_set(tenant, device, i, &want->set[i]);
    return is_same;
}

static void describe(const struct device *device, const struct fleet_model_device *want, char why[WHY_SIZE])
{
    FILE *out = fmemopen(why, WHY_SIZE, "w");
    fprintf(out, "%s is %s%s:", device->id_data, device_status_name(device->status),
            device->is_decommissioning ? " decommissioning" : "");
    for (size_t i = 0; i < device->sets; i++)
        fprintf(out, " %s %s", device->set[i].pubkey, device_status_name(device->set[i].status));
    fprintf(out, "; it should be %s%s:", want->is_there ? device_status_name(want->status) : "gone",
            want->is_decommissioning ? " decommissioning" : "");
    for (int i = 0; i < want->sets; i++)
        fprintf(out, " %s %s", keys[want->set[i].key], device_status_name(want->set[i].status));
    fclose(out);
}

static enum err compare_devices(int tenant, char why[WHY_SIZE])
{
    static const struct device_filter every = {.status = {true, true, true, true, true}};
    struct device **list = NULL;
    size_t n = 0;
    size_t want = 0;
    enum err e = ERR_OK;
    ck_ok(device_list(f.fleet.db, tenants[tenant], &every, 0, 100, &list, &n));
    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        for (int j = 0; j < FLEET_MODEL_IDENTITIES && e == ERR_OK; j++) {
            struct fleet_model_device *device = &world.model.device[tenant][j];
            if (strcmp(list[i]->id_data, identities[j]) != 0 || is_same_device(tenant, list[i], device))
                continue;
            describe(list[i], device, why);
            e = ERR_INVALID;
        }
    }
    for (int j = 0; j < FLEET_MODEL_IDENTITIES; j++)
        want += world.model.device[tenant][j].is_there;
    if (e == ERR_OK && n != want) {
        snprintf(why, WHY_SIZE, "there are %zu devices, not %zu", n, want);
        e = ERR_INVALID;
    }
    device_list_free(&list, n);
    return e;
}

static enum err compare_tokens(char why[WHY_SIZE])
{
    for (size_t i = 0; i < world.tokens; i++) {
        const struct issued *token = &world.token[i];
        bool is = fleet_fixture_alive(&f, token->text) == ERR_OK;
        bool should = fleet_model_is_alive(&world.model, token->tenant, token->jti, token->issued_s);
        if (is == should)
            continue;
        snprintf(why, WHY_SIZE, "token %zu of set %s is %s", i + 1, token->jti, is ? "alive" : "dead");
        return ERR_INVALID;
    }
    return ERR_OK;
}

static enum err compare_calls(char why[WHY_SIZE])
{
    size_t calls = f.engine != NULL ? engine_count(f.engine) - world.calls_old : world.model.calls;
    if (calls == world.model.calls)
        return ERR_OK;
    snprintf(why, WHY_SIZE, "the workflow engine was called %zu times, not %zu", calls, world.model.calls);
    return ERR_INVALID;
}

static enum err step_and_compare(const struct step *step, bool all, char why[WHY_SIZE])
{
    TRY(do_step(step, why));
    for (int i = 0; i < FLEET_MODEL_TENANTS; i++)
        if (i == world.touched || all)
            TRY(compare_devices(i, why));
    TRY(compare_calls(why));
    return compare_tokens(why);
}

/* The number of steps until one went wrong; 0: none did. */
static size_t run(const struct step *step, size_t n, char why[WHY_SIZE])
{
    start_over();
    for (size_t i = 0; i < n; i++)
        if (step_and_compare(&step[i], i % 8 == 0, why) != ERR_OK)
            return i + 1;
    return 0;
}

/* Leave out what the failure does not need: halves, quarters, at last single steps. */
static size_t cut_down(struct step *step, size_t n, char why[WHY_SIZE])
{
    int tries = 0;
    for (size_t piece = n / 2; piece > 0; piece /= 2) {
        for (size_t from = 0; from + piece <= n && tries < TRIES_MAX; tries++) {
            struct step fewer[SEQUENCE];
            char other[WHY_SIZE];
            memcpy(fewer, step, from * sizeof *step);
            memcpy(fewer + from, step + from + piece, (n - from - piece) * sizeof *step);
            size_t failed = run(fewer, n - piece, other);
            if (failed == 0) {
                from += piece;
                continue;
            }
            memcpy(step, fewer, failed * sizeof *step);
            memcpy(why, other, WHY_SIZE);
            n = failed;
        }
    }
    return n;
}

static void report(uint64_t seed, struct step *step, size_t n, char why[WHY_SIZE])
{
    AUTO(mem_free) char *text = NULL;
    size_t len = 0;
    n = cut_down(step, n, why);
    FILE *out = open_memstream(&text, &len);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "\n  %s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, kinds[step[i].kind].name, step[i].pick[0],
                step[i].pick[1], step[i].pick[2], step[i].pick[3]);
    fclose(out);
    ck_abort_msg("MINTD_TEST_SEED=%" PRIu64 ": %s, after%s", seed, why, text);
}

static uint64_t first_seed(void)
{
    uint64_t seed = 0;
    const char *given = getenv("MINTD_TEST_SEED");
    if (given != NULL)
        return strtoull(given, NULL, 10);
    rand_bytes(&seed, sizeof seed);
    return seed;
}

static int steps(void)
{
    const char *given = getenv("MINTD_TEST_STEPS");
    return given != NULL ? (int)strtol(given, NULL, 10) : support_times(STEPS, STEPS_FEW);
}

static void run_all(void)
{
    uint64_t seed = first_seed();
    int all = steps() / 2;
    for (int done = 0; done < all; done += SEQUENCE, seed++) {
        struct step step[SEQUENCE];
        char why[WHY_SIZE] = "";
        make_steps(seed, step, SEQUENCE);
        size_t failed = run(step, SEQUENCE, why);
        if (failed != 0)
            report(seed, step, failed, why);
    }
}

START_TEST(does_what_the_model_does)
{
    begin(_i % SUPPORT_ENGINES);
    if (_i >= SUPPORT_ENGINES)
        fleet_fixture_engine(&f);
    run_all();
    fleet_fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device_model");
    TCase *tc = tcase_create("device_model");
    tcase_set_timeout(tc, 60 + steps() / 100);
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, does_what_the_model_does, 0, 2 * SUPPORT_ENGINES);
    return s;
}

int main(void)
{
    return support_main(suite());
}
