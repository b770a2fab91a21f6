/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/device_admit.h"
#include "auth/device_enrol.h"
#include "auth/session.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"

/*
 * Nobody gets a 200 for a dead token out of somebody's memory: at once in the process that killed it, after a second in
 * any other on the same database.
 */
#define VERIFY "/api/internal/v1/useradm/auth/verify"
#define MANAGEMENT "/api/management/v1/useradm"
#define MAC "{\"mac\":\"02:00:00:00:00:01\"}"
#define BOUND_MS 1000
#define PATIENCE_MS 10000

/* The other process: memory and connections of its own, the keys shared. */
static struct {
    struct db *db;
    struct liveness *liveness;
    struct issuer *users;
    struct fleet fleet;
} there;

static struct fixture f;

static void open_there(void)
{
    char why[256] = "";
    ck_assert_msg(db_open(f.url, 4, why, sizeof why, &there.db) == ERR_OK, "%s", why);
    there.liveness = liveness_new(there.db);
    ck_ok(liveness_start(there.liveness));
    struct issuer_config people = *issuer_config(f.issuer);
    struct issuer_config devices = *issuer_config(f.fleet.tokens);
    people.liveness = devices.liveness = there.liveness;
    there.users = issuer_new(&people, there.db, f.ring);
    there.fleet =
        (struct fleet){.db = there.db, .tokens = issuer_new(&devices, there.db, f.device_ring), .plan = f.fleet.plan};
}

static void begin(int engine)
{
    fixture_init(&f, engine);
    ck_ok(liveness_start(f.liveness));
    open_there();
}

static void finish(void)
{
    clock_set(-1);
    issuer_free(&there.users);
    issuer_free(&there.fleet.tokens);
    liveness_free(&there.liveness);
    db_free(&there.db);
    fixture_release(&f);
}

static enum err ask(struct issuer *issuer, const char *token, bool may_block)
{
    struct issuer_token checked;
    TRY(issuer_check(issuer, token, strlen(token), &checked));
    return issuer_alive(issuer, &checked, may_block);
}

static const char *bare(const char *bearer)
{
    return bearer + strlen("Bearer ");
}

static bool is_device(const char *path)
{
    return strcmp(path, BOARD_VERIFY) == 0;
}

static enum err ask_there(const char *path, const char *bearer, bool may_block)
{
    return ask(is_device(path) ? there.fleet.tokens : there.users, bare(bearer), may_block);
}

static int verify(const char *path, const char *bearer)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", path);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_FORWARDED_METHOD] = "GET";
    c->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
    return fixture_run(c);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Asked about in both processes, until both know it; what is in the log from before may make one ask again. */
static void heat(const char *path, const char *bearer)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    ck_assert_int_eq(verify(path, bearer), 200);
    enum err e;
    do {
        ck_ok(ask_there(path, bearer, true));
        e = ask_there(path, bearer, false);
    } while (e == ERR_WOULD_BLOCK && clock_mono_ms() < end);
    ck_ok(e);
}

static void expect_dead(const char *path, const char *bearer)
{
    int64_t killed = clock_mono_ms();
    ck_assert_int_eq(verify(path, bearer), 401);
    while (ask_there(path, bearer, true) == ERR_OK && clock_mono_ms() - killed < PATIENCE_MS)
        pause_briefly();
    ck_assert_int_lt(clock_mono_ms() - killed, BOUND_MS);
}

/* What is killed, and one that nobody touches. */
static struct {
    char *admin;
    char *victim;
    const char *path; /* of the question about the victim */
    char *user_id;
    char *jti;
    struct board board;
    struct board second; /* the same device with another key */
} scene;

/* A person's token as a login makes it; name makes it a personal access token. */
static char *mint(const char *tenant, const char *user_id, const char *name, char **jti)
{
    struct claims claims;
    int64_t kid = 0;
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(issuer_sign(f.issuer, user_id, tenant, 3600, &claims, &kid, &token));
    ck_ok(db_exec(f.db,
                  "INSERT INTO tokens (id, tenant_id, user_id, name, kid, issued_ms, expires_ms) "
                  "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                  DB_ARGS(db_text(claims.jti), db_text(tenant), db_text(user_id), db_text(name), db_int(kid),
                          db_int(claims.iat * 1000), db_int(claims.exp * 1000)),
                  NULL));
    if (jti != NULL)
        *jti = mem_strdup(claims.jti);
    return mem_printf("Bearer %s", token);
}

static void set_people(const char *tenant, const char *name)
{
    char why[USER_WHY_SIZE];
    const struct user_new user = {.tenant = tenant,
                                  .email = "victim@example.com",
                                  .password = FIXTURE_PASSWORD,
                                  .cost = 4};
    ck_ok(user_create(f.db, &user, why, &scene.user_id));
    scene.path = VERIFY;
    scene.victim = mint(tenant, scene.user_id, name, &scene.jti);
}

static void decide(size_t n, const char *status)
{
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, n, "/status");
    AUTO(mem_free) char *body = mem_printf("{\"status\":\"%s\"}", status);
    board_expect(&f, scene.admin, "PUT", path, body, 204, "");
}

static void set_device(void)
{
    board_init(&scene.board, &f, "ED25519", MAC);
    ck_assert_int_eq(board_ask(&scene.board), 401);
    decide(0, "accepted");
    ck_assert_int_eq(board_ask(&scene.board), 200);
    scene.path = BOARD_VERIFY;
    scene.victim = mem_strdup(scene.board.bearer);
}

static void strike(void)
{
    mem_free(&scene.admin);
    mem_free(&scene.victim);
    mem_free(&scene.user_id);
    mem_free(&scene.jti);
    board_release(&scene.board);
    board_release(&scene.second);
    memset(&scene, 0, sizeof scene);
}

static void log_out(void)
{
    set_people("", NULL);
    heat(VERIFY, scene.victim);
    board_expect(&f, scene.victim, "POST", MANAGEMENT "/auth/logout", NULL, 202, NULL);
}

static void delete_pat(void)
{
    set_people("", "ci");
    heat(VERIFY, scene.victim);
    AUTO(mem_free) char *mine = mint("", scene.user_id, NULL, NULL);
    AUTO(mem_free) char *path = mem_printf(MANAGEMENT "/settings/tokens/%s", scene.jti);
    board_expect(&f, mine, "DELETE", path, NULL, 204, "");
}

static void log_in_too_often(void)
{
    scene.path = VERIFY;
    scene.victim = fixture_login(&f);
    heat(VERIFY, scene.victim);
    clock_set(clock_ms() + 5);
    for (int i = 0; i < 10; i++) {
        AUTO(mem_free) char *bearer = fixture_login(&f);
    }
    clock_set(-1);
    mem_free(&scene.admin);
    scene.admin = fixture_login(&f);
}

static void delete_user(void)
{
    set_people("", NULL);
    heat(VERIFY, scene.victim);
    AUTO(mem_free) char *path = mem_printf(MANAGEMENT "/users/%s", scene.user_id);
    board_expect(&f, scene.admin, "DELETE", path, NULL, 204, "");
}

static void delete_tenants_user(void)
{
    set_people("t", NULL);
    heat(VERIFY, scene.victim);
    AUTO(mem_free) char *path = mem_printf("/api/internal/v1/useradm/tenants/t/users/%s", scene.user_id);
    board_expect(&f, NULL, "DELETE", path, NULL, 204, "");
}

static void change_password(void)
{
    set_people("", NULL);
    heat(VERIFY, scene.victim);
    AUTO(mem_free) char *mine = mint("", scene.user_id, NULL, NULL);
    AUTO(mem_free) char *path = mem_printf(MANAGEMENT "/users/%s", scene.user_id);
    board_expect(&f, mine, "PUT", path, "{\"password\":\"another one\",\"current_password\":\"" FIXTURE_PASSWORD "\"}",
                 204, "");
    heat(VERIFY, mine);
}

static void purge_tenant(void)
{
    set_people("t", NULL);
    heat(VERIFY, scene.victim);
    board_expect(&f, NULL, "DELETE", "/api/internal/v1/useradm/tokens?tenant_id=t", NULL, 204, "");
}

static void purge_user(void)
{
    set_people("t", NULL);
    heat(VERIFY, scene.victim);
    AUTO(mem_free) char *path = mem_printf("/api/internal/v1/useradm/tokens?tenant_id=t&user_id=%s", scene.user_id);
    board_expect(&f, NULL, "DELETE", path, NULL, 204, "");
}

static void remove_key(void)
{
    fixture_add_key(&f, "es256", 2);
    set_people("", NULL);
    heat(VERIFY, scene.victim);
    AUTO(mem_free) char *file = support_path(f.keys, "private.id.2.pem");
    ck_assert_int_eq(unlink(file), 0);
    ck_ok(keyring_reload(f.ring));
    issuer_tidy(f.issuer);
    issuer_tidy(there.users);
}

static void reject(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    decide(0, "rejected");
}

static void put_back(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    decide(0, "pending");
}

static void accept_another_key(void)
{
    set_device();
    board_init(&scene.second, &f, "ED25519", MAC);
    ck_assert_int_eq(board_ask(&scene.second), 401);
    heat(BOARD_VERIFY, scene.victim);
    decide(1, "accepted");
}

static void delete_set(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, 0, "");
    board_expect(&f, scene.admin, "DELETE", path, NULL, 204, "");
}

static void delete_device_token(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    AUTO(json_release) json_t *device = board_device(&f, "");
    const json_t *set = json_array_get(json_object_get(device, "auth_sets"), 0);
    AUTO(mem_free)
    char *path = mem_printf("/api/management/v2/devauth/tokens/%s", json_string_value(json_object_get(set, "id")));
    board_expect(&f, scene.admin, "DELETE", path, NULL, 204, "");
}

static void decommission(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_path(device, "");
    board_expect(&f, scene.admin, "DELETE", path, NULL, 204, "");
}

static void delete_device(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free)
    char *path = mem_printf(BOARD_TENANTS "//devices/%s", json_string_value(json_object_get(device, "id")));
    board_expect(&f, NULL, "DELETE", path, NULL, 204, "");
}

static void purge_devices(void)
{
    set_device();
    heat(BOARD_VERIFY, scene.victim);
    ck_ok(device_admit_revoke_all(&f.fleet, "", NULL));
}

/* The last one: it moves the clock of everything else along. */
static void expire(void)
{
    set_people("", NULL);
    heat(VERIFY, scene.victim);
    clock_set(clock_ms() + 3600 * 1000);
}

static void (*const ends[])(void) = {
    log_out,         delete_pat,         log_in_too_often, delete_user,  delete_tenants_user,
    change_password, purge_user,         purge_tenant,     remove_key,   reject,
    put_back,        accept_another_key, delete_set,       decommission, delete_device_token,
    delete_device,   purge_devices,      expire,
};

START_TEST(what_ends_a_token_ends_it_in_every_memory)
{
    begin(_i);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        AUTO(mem_free) char *bystander = mint("", f.user_id, NULL, NULL);
        scene.admin = mint("", f.user_id, NULL, NULL);
        if (ends[i] != log_in_too_often)
            heat(VERIFY, bystander);
        ends[i]();
        expect_dead(scene.path, scene.victim);
        if (ends[i] != expire && ends[i] != log_in_too_often)
            heat(VERIFY, bystander);
        ck_ok(db_exec(f.db, "DELETE FROM users WHERE email LIKE 'victim%'", DB_ARGS(), NULL));
        ck_ok(db_exec(f.db, "DELETE FROM devices", DB_ARGS(), NULL));
        strike();
    }
    finish();
}
END_TEST

/* One asks as fast as it can while tokens are killed: once that is answered, no question gets a 200 any more. */
static struct {
    _Atomic(char *) bearer;
    atomic_bool is_dead;
    atomic_bool is_over;
    atomic_int stale;
    atomic_long asked;
} race;

static void *ask_on(void *arg)
{
    (void)arg;
    while (!atomic_load(&race.is_over)) {
        const char *bearer = atomic_load(&race.bearer);
        bool was_dead = atomic_load(&race.is_dead);
        enum err e = ask(f.issuer, bare(bearer), true);
        bool is_same = atomic_load(&race.bearer) == bearer;
        if (was_dead && is_same && e == ERR_OK)
            atomic_fetch_add(&race.stale, 1);
        atomic_fetch_add(&race.asked, 1);
    }
    return NULL;
}

/* Some more questions are answered. */
static void let_ask(long n)
{
    int64_t end = clock_mono_ms() + PATIENCE_MS;
    for (long from = race.asked; race.asked < from + n && clock_mono_ms() < end;)
        pause_briefly();
}

START_TEST(a_revocation_that_is_answered_is_seen_by_all_threads)
{
    enum { ROUNDS = 30, ASKERS = 3 };
    begin(_i);
    char *bearer[ROUNDS] = {NULL};
    pthread_t thread[ASKERS];
    for (int i = 0; i < support_times(ROUNDS, 5); i++) {
        AUTO(mem_free) char *jti = NULL;
        bearer[i] = mint("", f.user_id, NULL, &jti);
        /* read in the other order, so that nobody takes a new token for a dead one */
        race.is_dead = false;
        race.bearer = bearer[i];
        for (int k = 0; i == 0 && k < ASKERS; k++)
            ck_assert_int_eq(pthread_create(&thread[k], NULL, ask_on, NULL), 0);
        let_ask(ASKERS * 3);
        struct claims claims = {0};
        memcpy(claims.jti, jti, strlen(jti));
        memcpy(claims.sub, f.user_id, strlen(f.user_id));
        ck_ok(session_logout(f.issuer, &claims));
        race.is_dead = true;
        let_ask(ASKERS * 3);
    }
    race.is_over = true;
    for (int k = 0; k < ASKERS; k++)
        pthread_join(thread[k], NULL);
    ck_assert_int_eq(race.stale, 0);
    for (int i = 0; i < ROUNDS; i++)
        mem_free(&bearer[i]);
    finish();
}
END_TEST

/* What a token is by the model, and since when. */
enum { USERS = 3, BOARDS = 4, TOKENS = 60, STEPS = 150 };

static struct model_token {
    char *bearer;
    struct claims claims;
    int owner; /* a user's number, or a device's with DEVICE_BASE added */
    bool is_dead;
    bool died_elsewhere;
    int64_t died_ms;
} tokens[TOKENS];
static size_t count;
static char *user_ids[USERS];
static unsigned seed;
static bool is_elsewhere; /* where the step is made */
#define DEVICE_BASE 100

static unsigned next(unsigned n)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % n;
}

static void kill_one(struct model_token *token)
{
    if (token->is_dead)
        return;
    token->is_dead = true;
    token->died_elsewhere = is_elsewhere;
    token->died_ms = clock_mono_ms();
}

static void kill_owner(int owner)
{
    for (size_t i = 0; i < count; i++)
        if (tokens[i].owner == owner)
            kill_one(&tokens[i]);
}

static void keep(const char *token, int owner)
{
    struct issuer *issuer = owner >= DEVICE_BASE ? f.fleet.tokens : f.issuer;
    struct issuer_token checked;
    ck_ok(issuer_check(issuer, token, strlen(token), &checked));
    tokens[count++] =
        (struct model_token){.bearer = mem_printf("Bearer %s", token), .claims = checked.claims, .owner = owner};
}

static void add_user(int n)
{
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *email = mem_printf("user%d@example.com", n);
    const struct user_new user = {.email = email, .password = FIXTURE_PASSWORD, .cost = 4};
    mem_free(&user_ids[n]);
    ck_ok(user_create(f.db, &user, why, &user_ids[n]));
}

static struct device_identity identity_of(int n)
{
    struct device_identity identity = {.tenant = "", .pubkey = "k"};
    static const char *const texts[BOARDS] = {"{\"a\":\"0\"}", "{\"a\":\"1\"}", "{\"a\":\"2\"}", "{\"a\":\"3\"}"};
    identity.id_data = texts[n];
    snprintf(identity.id_hash, sizeof identity.id_hash, "h%d", n);
    snprintf(identity.key_hash, sizeof identity.key_hash, "k%d", n);
    return identity;
}

/* The ids of a device and its set, if it is there. */
static bool find(const struct fleet *fleet, int n, struct device **out)
{
    struct device **list = NULL;
    size_t found = 0;
    const struct device_filter filter = {.status = {true, true, true, true, true}};
    ck_ok(device_list(fleet->db, "", &filter, 0, 100, &list, &found));
    const struct device_identity identity = identity_of(n);
    for (size_t i = 0; i < found; i++) {
        if (strcmp(list[i]->id_data, identity.id_data) == 0)
            *out = MOVE(list[i]);
    }
    device_list_free(&list, found);
    return *out != NULL;
}

/* Tokens count by the second: one from the second in which its forerunner was revoked would bring that one back. */
static bool may_enrol(int n)
{
    for (size_t i = 0; i < count; i++)
        if (tokens[i].owner == DEVICE_BASE + n && tokens[i].is_dead && tokens[i].claims.iat >= clock_s())
            return false;
    return count < TOKENS;
}

static void enrol(const struct fleet *fleet, int n)
{
    const struct device_identity identity = identity_of(n);
    AUTO(device_free) struct device *device = NULL;
    AUTO(mem_wipe) char *token = NULL;
    if (!may_enrol(n))
        return;
    if (device_enrol(fleet, &identity, &fleet->plan, "r", true, &token) == ERR_OK) {
        keep(token, DEVICE_BASE + n);
        return;
    }
    ck_assert(find(fleet, n, &device));
    if (device->set[0].status != DEVICE_ACCEPTED)
        ck_ok(device_admit_set_status(fleet, "", device->id, device->set[0].id, DEVICE_ACCEPTED, "r"));
}

static void change_device(const struct fleet *fleet, int n)
{
    AUTO(device_free) struct device *device = NULL;
    if (!find(fleet, n, &device))
        return;
    const char *set = device->set[0].id;
    enum err e = ERR_OK;
    switch (next(5)) {
    case 0:
        e = device_admit_decommission(fleet, "", device->id, "r");
        break;
    case 1:
        e = device_admit_revoke(fleet, "", set);
        break;
    case 2:
        e = device_admit_delete_set(fleet, "", device->id, set, "r");
        if (e == ERR_OK)
            e = device_admit_delete(fleet, "", device->id);
        break;
    case 3:
        e = device_admit_revoke_all(fleet, "", device->id);
        break;
    default:
        e = device_admit_set_status(fleet, "", device->id, set, DEVICE_REJECTED, "r");
    }
    ck_assert(e == ERR_OK || e == ERR_NOT_FOUND);
    kill_owner(DEVICE_BASE + n);
}

static void log_out_one(struct issuer *issuer)
{
    if (count == 0)
        return;
    struct model_token *token = &tokens[next((unsigned)count)];
    if (token->owner >= DEVICE_BASE)
        return;
    ck_ok(session_logout(issuer, &token->claims));
    kill_one(token);
}

static void change_user(struct issuer *issuer, int n)
{
    struct db *db = issuer_db(issuer);
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *email = mem_printf("user%d@example.com", n);
    AUTO(mem_free) char *password = mem_printf("password %u", next(1000000));
    unsigned what = next(8);
    if (what < 4)
        ck_ok(user_revoke(db, "", user_ids[n]));
    else if (what < 6)
        ck_ok(user_set_password(db, "", email, password, 4, why));
    else if (what == 6)
        ck_ok(user_delete(db, "", user_ids[n]));
    else
        ck_ok(user_revoke(db, "", NULL));
    issuer_revoked(issuer);
    for (int i = 0; what == 7 && i < USERS; i++)
        kill_owner(i);
    kill_owner(n);
    if (what == 6)
        add_user(n);
}

static void step(void)
{
    struct issuer *users = is_elsewhere ? there.users : f.issuer;
    const struct fleet *fleet = is_elsewhere ? &there.fleet : &f.fleet;
    unsigned what = next(20);
    if (what < 6 && count < TOKENS) {
        int n = (int)next(USERS);
        AUTO(mem_free) char *bearer = mint("", user_ids[n], NULL, NULL);
        keep(bare(bearer), n);
    } else if (what < 12) {
        enrol(fleet, (int)next(BOARDS));
    } else if (what < 16) {
        log_out_one(users);
    } else if (what < 18) {
        change_device(fleet, (int)next(BOARDS));
    } else if (what == 18) {
        change_user(users, (int)next(USERS));
    }
}

static enum err ask_about(const struct model_token *token, bool elsewhere)
{
    if (token->owner >= DEVICE_BASE)
        return ask(elsewhere ? there.fleet.tokens : f.fleet.tokens, bare(token->bearer), true);
    return ask(elsewhere ? there.users : f.issuer, bare(token->bearer), true);
}

/* What died is dead at once where it was killed, and elsewhere a second later; what lives is alive everywhere. */
static void compare(unsigned at)
{
    for (size_t i = 0; i < 2 * count; i++) {
        const struct model_token *token = &tokens[i / 2];
        bool elsewhere = i % 2 == 1;
        int64_t asked_ms = clock_mono_ms();
        enum err e = ask_about(token, elsewhere);
        bool may_be_stale = elsewhere != token->died_elsewhere && asked_ms - token->died_ms < BOUND_MS;
        bool is_right = token->is_dead ? e == ERR_UNAUTHORIZED || (may_be_stale && e == ERR_OK) : e == ERR_OK;
        ck_assert_msg(is_right, "step %u: token %zu of %d: %s", at, i / 2, token->owner, err_name(e));
    }
}

/* Both have heard of everything. */
static void settle(unsigned at)
{
    for (size_t i = 0; i < count; i++) {
        int64_t end = clock_mono_ms() + BOUND_MS;
        bool is_stale = false;
        do {
            is_stale =
                tokens[i].is_dead && (ask_about(&tokens[i], false) == ERR_OK || ask_about(&tokens[i], true) == ERR_OK);
            if (is_stale)
                pause_briefly();
        } while (is_stale && clock_mono_ms() < end);
        ck_assert_msg(!is_stale, "step %u: token %zu of %d is dead and not believed to be", at, i, tokens[i].owner);
    }
}

START_TEST(a_thousand_and_one_changes_leave_no_stale_answer)
{
    begin(_i);
    seed = (unsigned)clock_mono_ns();
    for (int i = 0; i < USERS; i++)
        add_user(i);
    for (int i = 0; i < support_times(STEPS, 10); i++) {
        unsigned was = seed;
        is_elsewhere = next(2) == 1;
        step();
        compare(was);
        if (i % 15 == 14)
            settle(was);
    }
    settle(0);
    for (size_t i = 0; i < count; i++)
        mem_free(&tokens[i].bearer);
    for (int i = 0; i < USERS; i++)
        mem_free(&user_ids[i]);
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("revocation");
    TCase *tc = tcase_create("revocation");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    tcase_add_loop_test(tc, what_ends_a_token_ends_it_in_every_memory, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_revocation_that_is_answered_is_seen_by_all_threads, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_thousand_and_one_changes_leave_no_stale_answer, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_fork(); /* its threads check for themselves, which ends a process */
    return support_main(suite());
}
