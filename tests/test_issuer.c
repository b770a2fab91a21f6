/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/issuer.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/support.h"

#define NOW_MS INT64_C(1770000000000)
#define NOW_S (NOW_MS / 1000)

static const struct issuer_config usual = {
    .iss = "mender.useradm",
    .lifetime_s = 3600,
    .sessions_max = 10,
    .last_used_every_s = 300,
    .cache_entries = 100,
};

static const char *dir;
static struct keyring *ring;
static struct db *db;
static struct issuer *issuer;

static void add_key_of(const char *type, const char *name)
{
    AUTO(mem_wipe) char *pem = NULL;
    AUTO(mem_free) char *path = support_path(dir, name);
    ck_ok(key_generate(type, &pem));
    support_write(path, pem, strlen(pem), 0600);
}

static void add_key(const char *name)
{
    add_key_of("ed25519", name);
}

static void open_ring_with(const char *fallback_path)
{
    const struct keyring_config config = {.name = "test",
                                          .dir = dir,
                                          .fallback_path = fallback_path,
                                          .pattern = "private\\.id\\.([0-9]*)\\.pem",
                                          .rsa_alg = KEY_RS256,
                                          .keys_max = 10};
    ck_ok(keyring_open(&config, &ring));
}

static void open_ring(void)
{
    dir = support_dir();
    add_key("private.id.5.pem");
    open_ring_with(NULL);
}

enum counter { CACHED, VERIFIED, REFUSED, REVOCATIONS, COUNTERS };

static const char *const counters[COUNTERS] = {
    "mintd_tokens_checked_total{result=\"cached\"}",
    "mintd_tokens_checked_total{result=\"verified\"}",
    "mintd_tokens_checked_total{result=\"refused\"}",
    "mintd_revocations_total",
};
static int64_t before[COUNTERS];

#define STATEMENTS "mintd_db_statements_total"

/* What a counter rose by in this test. */
static int64_t counted(enum counter which)
{
    return support_metric(counters[which]) - before[which];
}

/* The clock stands still from here on. engine -1: no storage. */
static void begin(int engine, const struct issuer_config *config)
{
    for (int i = 0; i < COUNTERS; i++)
        before[i] = support_metric(counters[i]);
    clock_set(NOW_MS);
    open_ring();
    if (engine >= 0)
        db = support_db(engine);
    issuer = issuer_new(config, db, ring);
}

static void finish(void)
{
    issuer_free(&issuer);
    keyring_free(&ring);
    db_free(&db);
}

static char *signed_for(const char *sub, int64_t lifetime_s)
{
    struct claims claims;
    int64_t kid = -1;
    char *token = NULL;
    ck_ok(issuer_sign(issuer, sub, "", lifetime_s, &claims, &kid, &token));
    return token;
}

/* A token of the current key with any payload. */
static char *signed_text(const char *payload)
{
    char *token = NULL;
    struct keyring_view view = keyring_acquire(ring);
    ck_ok(jws_sign(keyset_signing(view.set), payload, strlen(payload), &token));
    keyring_release(&view);
    return token;
}

static enum err check(const char *token, struct issuer_token *out)
{
    return issuer_check(issuer, token, strlen(token), out);
}

static void run(const char *sql, const struct db_arg *args)
{
    ck_ok(db_exec(db, sql, args, NULL));
}

static void insert_user(const char *id, const char *tenant)
{
    AUTO(mem_free) char *email = mem_printf("%s@example.com", id);
    run("INSERT INTO users (id, tenant_id, email, password_hash, created_ms, updated_ms) VALUES ($1, $2, $3, '', 1, 1)",
        DB_ARGS(db_text(id), db_text(tenant), db_text(email)));
}

static void insert_token(const char *jti, const char *user_id, const char *name, int64_t expires_ms)
{
    run("INSERT INTO tokens (id, tenant_id, user_id, name, kid, issued_ms, expires_ms) VALUES ($1, '', $2, $3, 5, 1, "
        "$4)",
        DB_ARGS(db_text(jti), db_text(user_id), db_text(name), expires_ms == 0 ? db_null() : db_int(expires_ms)));
}

/* A checked token of user "u" with its row. */
static struct issuer_token alive_token(const char *name)
{
    AUTO(mem_wipe) char *token = signed_for("u", 3600);
    struct issuer_token checked;
    ck_ok(check(token, &checked));
    insert_user("u", "");
    insert_token(checked.claims.jti, "u", name, (NOW_S + 3600) * 1000);
    return checked;
}

START_TEST(signs_what_it_takes)
{
    begin(-1, &usual);
    struct claims claims;
    int64_t kid = -1;
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(issuer_sign(issuer, "user-1", "tenant", 60, &claims, &kid, &token));
    ck_assert_int_eq(kid, 5);

    struct issuer_token checked;
    ck_ok(check(token, &checked));
    ck_assert_uint_eq(strlen(checked.claims.jti), 36);
    ck_assert_str_eq(checked.claims.jti, claims.jti);
    ck_assert_str_eq(checked.claims.sub, "user-1");
    ck_assert_str_eq(checked.claims.tenant, "tenant");
    ck_assert_str_eq(checked.claims.iss, "mender.useradm");
    ck_assert_str_eq(checked.claims.scp, "mender.*");
    ck_assert_int_eq(checked.claims.iat, NOW_S);
    ck_assert_int_eq(checked.claims.nbf, NOW_S);
    ck_assert_int_eq(checked.claims.exp, NOW_S + 60);
    ck_assert(checked.claims.is_user);
    ck_assert_int_eq(checked.found.until_ms, 0);
    ck_assert_ptr_null(strchr(token, '\n'));
}
END_TEST

START_TEST(ids_of_tokens_sort_by_age)
{
    char last[CLAIMS_TEXT_SIZE] = "";
    begin(-1, &usual);
    for (int i = 0; i < 100; i++) {
        struct claims claims;
        int64_t kid = -1;
        AUTO(mem_wipe) char *token = NULL;
        ck_ok(issuer_sign(issuer, "u", "", 60, &claims, &kid, &token));
        ck_assert_int_gt(strcmp(claims.jti, last), 0);
        memcpy(last, claims.jti, sizeof last);
    }
    finish();
}
END_TEST

START_TEST(a_token_can_live_for_ever)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *endless = signed_for("u", 0);
    AUTO(mem_wipe) char *longest = signed_for("u", INT64_MAX);
    struct issuer_token checked;
    clock_set(NOW_MS + INT64_C(1000) * 1000 * 86400 * 365);
    ck_ok(check(endless, &checked));
    ck_assert_int_eq(checked.claims.exp, CLAIMS_NO_EXPIRY);
    ck_ok(check(longest, &checked));
}
END_TEST

START_TEST(a_subject_that_does_not_fit_is_not_signed)
{
    begin(-1, &usual);
    char sub[CLAIMS_TEXT_SIZE + 1] = "";
    memset(sub, 's', CLAIMS_TEXT_SIZE);
    struct claims claims;
    int64_t kid = -1;
    char *token = NULL;
    ck_err(issuer_sign(issuer, sub, "", 60, &claims, &kid, &token), ERR_SIGN);
    ck_err(issuer_sign(issuer, "u", sub, 60, &claims, &kid, &token), ERR_SIGN);
    ck_assert_ptr_null(token);
    ck_assert_int_eq(kid, -1);
}
END_TEST

START_TEST(refuses_what_was_altered)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token checked = {.found = {.stamp = 99}};
    ck_ok(check(token, &checked));
    checked.found.stamp = 99;
    size_t len = strlen(token);
    for (size_t i = 0; i < len; i++) {
        char was = token[i];
        token[i] = was == 'A' ? 'B' : 'A';
        ck_err(check(token, &checked), ERR_TOKEN_INVALID);
        token[i] = was;
    }
    ck_err(issuer_check(issuer, token, len - 1, &checked), ERR_TOKEN_INVALID);
    ck_err(issuer_check(issuer, token, 0, &checked), ERR_TOKEN_INVALID);
    AUTO(mem_free) char *huge = mem_calloc(JWS_TOKEN_MAX + 2, 1);
    memset(huge, 'a', JWS_TOKEN_MAX + 1);
    ck_err(check(huge, &checked), ERR_TOKEN_INVALID);
    ck_assert_uint_eq(checked.found.stamp, 99);
    ck_ok(check(token, &checked));
}
END_TEST

static const char *const bad_payloads[] = {
    "",
    "x",
    "{}",
    "{\"sub\":\"u\",\"iss\":\"i\",\"scp\":\"mender.*\"}",
    "{\"jti\":\"j\",\"iss\":\"i\",\"scp\":\"mender.*\"}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"scp\":\"mender.*\"}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"i\"}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"i\",\"scp\":\"mender.*\",\"exp\":1770000000}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"i\",\"scp\":\"mender.*\",\"exp\":1770000001.5}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"i\",\"scp\":\"mender.*\",\"exp\":\"1770000001\"}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"i\",\"scp\":\"mender.*\",\"nbf\":1770000001}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"i\",\"scp\":\"mender.*\",\"iat\":1770000001}",
    "{\"jti\":\"j\",\"sub\":\"u\",\"sub\":\"v\",\"iss\":\"i\",\"scp\":\"mender.*\"}",
};

START_TEST(refuses_signed_nonsense)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *token = signed_text(bad_payloads[_i]);
    struct issuer_token checked;
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    ck_assert_int_eq(counted(REFUSED), 2);
}
END_TEST

START_TEST(any_issuer_is_fine_unless_configured)
{
    static const char *const accepted[] = {"one", "two", NULL};
    struct issuer_config config = usual;
    begin(-1, &usual);
    AUTO(mem_wipe)
    char *two = signed_text("{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"two\",\"scp\":\"mender.*\",\"mender.user\":true}");
    AUTO(mem_wipe)
    char *three =
        signed_text("{\"jti\":\"j\",\"sub\":\"u\",\"iss\":\"three\",\"scp\":\"mender.*\",\"mender.user\":true}");
    struct issuer_token checked;
    ck_ok(check(three, &checked));
    issuer_free(&issuer);
    config.accepted = accepted;
    issuer = issuer_new(&config, db, ring);
    ck_ok(check(two, &checked));
    ck_err(check(three, &checked), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(a_signature_is_verified_once)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token first, second;
    ck_ok(check(token, &first));
    ck_ok(check(token, &second));
    ck_ok(check(token, &second));
    ck_assert_int_eq(counted(VERIFIED), 1);
    ck_assert_int_eq(counted(CACHED), 2);
    ck_assert_str_eq(first.claims.jti, second.claims.jti);
    ck_assert_mem_eq(first.digest, second.digest, sizeof first.digest);
}
END_TEST

START_TEST(without_a_cache_each_check_verifies)
{
    struct issuer_config config = usual;
    config.cache_entries = 0;
    begin(-1, &config);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token checked;
    ck_ok(check(token, &checked));
    ck_ok(check(token, &checked));
    ck_assert_int_eq(counted(VERIFIED), 2);
}
END_TEST

START_TEST(expires_at_exp_while_remembered)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token checked;
    ck_ok(check(token, &checked));
    clock_set((NOW_S + 60) * 1000 - 1);
    ck_ok(check(token, &checked));
    ck_assert_int_eq(counted(CACHED), 1);
    clock_set((NOW_S + 60) * 1000);
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    /* the clock was set back: then it is not valid yet */
    clock_set(NOW_MS - 1);
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    clock_set(NOW_MS);
    ck_ok(check(token, &checked));
}
END_TEST

START_TEST(leeway_forgives_seconds)
{
    struct issuer_config config = usual;
    config.leeway_s = 5;
    begin(-1, &config);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token checked;
    clock_set((NOW_S - 5) * 1000);
    ck_ok(check(token, &checked));
    clock_set((NOW_S - 6) * 1000);
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    clock_set((NOW_S + 64) * 1000);
    ck_ok(check(token, &checked));
    clock_set((NOW_S + 65) * 1000);
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(a_removed_key_ends_remembered_tokens)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token checked;
    ck_ok(check(token, &checked));
    add_key("private.id.6.pem");
    ck_ok(keyring_reload(ring));
    ck_ok(check(token, &checked));
    ck_assert_int_eq(counted(CACHED), 1);

    AUTO(mem_free) char *path = support_path(dir, "private.id.5.pem");
    ck_assert_int_eq(unlink(path), 0);
    ck_ok(keyring_reload(ring));
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    AUTO(mem_wipe) char *newer = signed_for("u", 60);
    ck_ok(check(newer, &checked));
}
END_TEST

START_TEST(another_key_under_the_same_id_ends_remembered_tokens)
{
    begin(-1, &usual);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    struct issuer_token checked;
    ck_ok(check(token, &checked));
    add_key("private.id.5.pem");
    ck_ok(keyring_reload(ring));
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
    AUTO(mem_wipe) char *newer = signed_for("u", 60);
    ck_ok(check(newer, &checked));
}
END_TEST

/* Verified by the fallback key since its own key was replaced: the same rules hold remembered and not. */
START_TEST(a_removed_key_ends_remembered_tokens_of_the_fallback_key)
{
    struct issuer_config config = usual;
    config.cache_entries = _i == 0 ? 100 : 0;
    begin(-1, &config);
    AUTO(mem_wipe) char *token = signed_for("u", 60);
    issuer_free(&issuer);
    keyring_free(&ring);
    AUTO(mem_free) char *path = support_path(dir, "private.id.5.pem");
    AUTO(mem_free) char *old = support_path(dir, "old.pem");
    ck_assert_int_eq(rename(path, old), 0);
    add_key("private.id.5.pem");
    add_key("private.id.6.pem");
    open_ring_with(old);
    issuer = issuer_new(&config, db, ring);

    struct issuer_token checked;
    ck_ok(check(token, &checked));
    add_key("private.id.5.pem"); /* yet another one: the fallback key helps still */
    ck_ok(keyring_reload(ring));
    ck_ok(check(token, &checked));
    ck_assert_int_eq(counted(CACHED), _i == 0 ? 1 : 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_ok(keyring_reload(ring));
    ck_err(check(token, &checked), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(the_newest_key_signs_after_a_reload)
{
    begin(-1, &usual);
    add_key("private.id.6.pem");
    ck_ok(keyring_reload(ring));
    struct claims claims;
    int64_t kid = -1;
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(issuer_sign(issuer, "u", "", 60, &claims, &kid, &token));
    ck_assert_int_eq(kid, 6);
}
END_TEST

START_TEST(a_token_with_user_and_row_is_alive)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token(NULL);
    ck_ok(issuer_alive(issuer, &token, true));
}
END_TEST

START_TEST(a_token_is_dead_without_user_or_row)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token(NULL), wrong = token;
    snprintf(wrong.claims.tenant, sizeof wrong.claims.tenant, "t");
    ck_err(issuer_alive(issuer, &wrong, true), ERR_UNAUTHORIZED);
    wrong = token;
    insert_user("v", "");
    snprintf(wrong.claims.sub, sizeof wrong.claims.sub, "v");
    ck_err(issuer_alive(issuer, &wrong, true), ERR_UNAUTHORIZED);
    wrong = token;
    snprintf(wrong.claims.jti, sizeof wrong.claims.jti, "' OR '1'='1");
    ck_err(issuer_alive(issuer, &wrong, true), ERR_UNAUTHORIZED);
    ck_ok(issuer_alive(issuer, &token, true));

    /* a user that changed its tenant */
    run("UPDATE users SET tenant_id = 't' WHERE id = 'u'", DB_ARGS());
    ck_err(issuer_alive(issuer, &token, true), ERR_UNAUTHORIZED);
    run("DELETE FROM users WHERE id = 'u'", DB_ARGS());
    ck_err(issuer_alive(issuer, &token, true), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(only_rsa_signs_slowly)
{
    begin(-1, &usual);
    ck_assert(!issuer_signs_slowly(issuer));
    add_key_of("rsa2048", "private.id.6.pem");
    ck_ok(keyring_reload(ring));
    ck_assert(issuer_signs_slowly(issuer));
    add_key_of("es256", "private.id.7.pem");
    ck_ok(keyring_reload(ring));
    ck_assert(!issuer_signs_slowly(issuer));
}
END_TEST

/* What the database was asked for an answer; want is the answer. */
static int64_t statements_for(const struct issuer_token *token, bool may_block, enum err want)
{
    int64_t asked = support_metric(STATEMENTS);
    ck_err(issuer_alive(issuer, token, may_block), want);
    return support_metric(STATEMENTS) - asked;
}

START_TEST(liveness_is_remembered_for_a_while)
{
    begin(_i, &usual);
    AUTO(mem_wipe) char *text = signed_for("u", 3600);
    struct issuer_token token;
    ck_ok(check(text, &token));
    insert_user("u", "");
    insert_token(token.claims.jti, "u", NULL, 0);
    ck_assert_int_eq(statements_for(&token, true, ERR_OK), 1);

    ck_ok(check(text, &token));
    ck_assert_int_eq(statements_for(&token, false, ERR_OK), 0);
    clock_set(NOW_MS + LIVENESS_BLIND_MS - 1);
    ck_assert_int_eq(statements_for(&token, false, ERR_OK), 0);
    clock_set(NOW_MS + LIVENESS_BLIND_MS);
    ck_assert_int_eq(statements_for(&token, true, ERR_OK), 1);
}
END_TEST

START_TEST(who_may_not_wait_asks_a_database_that_answers_at_once)
{
    begin(_i, &usual);
    bool at_once = strcmp(db_engine(db), "sqlite") == 0;
    struct issuer_token token = alive_token(NULL);
    ck_assert_int_eq(statements_for(&token, false, at_once ? ERR_OK : ERR_WOULD_BLOCK), at_once);
    run("DELETE FROM tokens", DB_ARGS());
    clock_set(NOW_MS + LIVENESS_BLIND_MS);
    ck_assert_int_eq(statements_for(&token, false, at_once ? ERR_UNAUTHORIZED : ERR_WOULD_BLOCK), at_once);
}
END_TEST

static int64_t last_used(void)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, "SELECT last_used_ms FROM tokens", DB_ARGS(), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_is_null(rows, 0) ? -1 : db_rows_int(rows, 0);
}

START_TEST(who_may_not_wait_notes_no_use)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token("ci");
    ck_err(issuer_alive(issuer, &token, false), ERR_WOULD_BLOCK);
    ck_assert_int_eq(last_used(), -1);
    ck_ok(issuer_alive(issuer, &token, true));
    ck_assert_int_eq(last_used(), NOW_MS);
}
END_TEST

START_TEST(a_dead_token_is_asked_for_again)
{
    begin(_i, &usual);
    AUTO(mem_wipe) char *text = signed_for("u", 3600);
    struct issuer_token token;
    ck_ok(check(text, &token));
    ck_err(issuer_alive(issuer, &token, true), ERR_UNAUTHORIZED);
    ck_ok(check(text, &token));
    insert_user("u", "");
    insert_token(token.claims.jti, "u", NULL, 0);
    ck_ok(issuer_alive(issuer, &token, true));
}
END_TEST

START_TEST(a_revocation_here_counts_at_once)
{
    begin(_i, &usual);
    AUTO(mem_wipe) char *text = signed_for("u", 3600);
    struct issuer_token token;
    ck_ok(check(text, &token));
    insert_user("u", "");
    insert_token(token.claims.jti, "u", NULL, 0);
    ck_ok(issuer_alive(issuer, &token, true));
    ck_ok(check(text, &token));
    ck_assert_int_eq(statements_for(&token, false, ERR_OK), 0);

    run("DELETE FROM tokens WHERE id = $1", DB_ARGS(db_text(token.claims.jti)));
    issuer_revoked(issuer);
    ck_err(issuer_alive(issuer, &token, true), ERR_UNAUTHORIZED);
    ck_ok(check(text, &token));
    ck_err(issuer_alive(issuer, &token, true), ERR_UNAUTHORIZED);
    ck_assert_int_eq(counted(REVOCATIONS), 1);
}
END_TEST

START_TEST(a_revocation_elsewhere_counts_within_half_a_second)
{
    begin(_i, &usual);
    struct issuer *other = issuer_new(&usual, db, ring);
    AUTO(mem_wipe) char *text = signed_for("u", 3600);
    struct issuer_token token;
    ck_ok(issuer_check(other, text, strlen(text), &token));
    insert_user("u", "");
    insert_token(token.claims.jti, "u", NULL, 0);
    ck_ok(issuer_alive(other, &token, true));

    run("DELETE FROM tokens", DB_ARGS());
    issuer_revoked(issuer);
    ck_ok(issuer_check(other, text, strlen(text), &token));
    ck_ok(issuer_alive(other, &token, true));
    clock_set(NOW_MS + LIVENESS_BLIND_MS);
    ck_ok(issuer_check(other, text, strlen(text), &token));
    ck_err(issuer_alive(other, &token, true), ERR_UNAUTHORIZED);
    issuer_free(&other);
}
END_TEST

START_TEST(a_row_can_expire_before_its_token)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token(NULL);
    run("UPDATE tokens SET expires_ms = $1", DB_ARGS(db_int(NOW_MS + 1)));
    ck_ok(issuer_alive(issuer, &token, true));
    run("UPDATE tokens SET expires_ms = $1", DB_ARGS(db_int(NOW_MS)));
    ck_err(issuer_alive(issuer, &token, true), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(the_use_of_a_named_token_is_noted_now_and_then)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token("ci");
    ck_ok(issuer_alive(issuer, &token, true));
    ck_assert_int_eq(last_used(), NOW_MS);
    clock_set(NOW_MS + 300000);
    ck_ok(issuer_alive(issuer, &token, true));
    ck_assert_int_eq(last_used(), NOW_MS);
    clock_set(NOW_MS + 300001);
    ck_ok(issuer_alive(issuer, &token, true));
    ck_assert_int_eq(last_used(), NOW_MS + 300001);
}
END_TEST

START_TEST(a_use_that_cannot_be_noted_hurts_nobody)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token("ci");
    run(_i == 0 ? "CREATE TRIGGER no_room BEFORE UPDATE ON tokens BEGIN SELECT RAISE(ABORT, 'no room'); END"
                : "ALTER TABLE tokens ADD CONSTRAINT no_room CHECK (last_used_ms IS NULL)",
        DB_ARGS());
    ck_ok(issuer_alive(issuer, &token, true));
    ck_assert_int_eq(last_used(), -1);
}
END_TEST

/* What the cache was told of a token that is alive. */
static int64_t believed_ms(const struct issuer_config *config, const char *name, int64_t expires_ms)
{
    struct issuer *own = issuer_new(config, db, ring);
    AUTO(mem_wipe) char *text = signed_for("u", 3600);
    struct issuer_token token;
    ck_ok(issuer_check(own, text, strlen(text), &token));
    insert_token(token.claims.jti, "u", name, expires_ms);
    ck_ok(issuer_alive(own, &token, true));
    ck_ok(issuer_check(own, text, strlen(text), &token));
    issuer_free(&own);
    return token.found.until_ms - token.found.asked_ms;
}

START_TEST(an_answer_has_an_end_even_if_nothing_is_heard)
{
    begin(_i, &usual);
    insert_user("u", "");
    struct issuer_config config = usual;
    ck_assert_int_eq(believed_ms(&config, NULL, (NOW_S + 3600) * 1000), ISSUER_ALIVE_MS);
    ck_assert_int_eq(believed_ms(&config, NULL, 0), ISSUER_ALIVE_MS);
    ck_assert_int_eq(believed_ms(&config, "a", 0), config.last_used_every_s * 1000);
    ck_assert_int_eq(believed_ms(&config, NULL, NOW_MS + 77), 77);
    config.leeway_s = 2;
    ck_assert_int_eq(believed_ms(&config, NULL, NOW_MS + 77), 2077);
    config.last_used_every_s = 3600;
    ck_assert_int_eq(believed_ms(&config, "b", 0), ISSUER_ALIVE_MS);
    config.last_used_every_s = 0;
    ck_assert_int_eq(believed_ms(&config, "c", 0), ISSUER_ALIVE_MS);
}
END_TEST

START_TEST(memory_of_tokens_that_are_over_is_given_back)
{
    static const char entries[] = "mintd_token_cache_entries";
    int64_t others = support_metric(entries);
    begin(-1, &usual);
    AUTO(mem_wipe) char *text = signed_for("u", 3600);
    struct issuer_token token;
    ck_ok(check(text, &token));
    issuer_tidy(issuer);
    ck_assert_int_eq(support_metric(entries), others + 1);
    clock_set(NOW_MS + 3600 * 1000);
    issuer_tidy(issuer);
    ck_assert_int_eq(support_metric(entries), others);
}
END_TEST

START_TEST(the_use_of_other_tokens_is_not_noted)
{
    begin(_i, &usual);
    struct issuer_token token = alive_token(NULL);
    ck_ok(issuer_alive(issuer, &token, true));
    ck_assert_int_eq(last_used(), -1);

    struct issuer_config config = usual;
    config.last_used_every_s = 0;
    struct issuer *never = issuer_new(&config, db, ring);
    run("UPDATE tokens SET name = 'ci'", DB_ARGS());
    ck_ok(issuer_alive(never, &token, true));
    ck_assert_int_eq(last_used(), -1);
    issuer_free(&never);
}
END_TEST

/* Of a device's token, and of the set and the device that it is of. */
static void insert_device_token(int n, int64_t expires_ms)
{
    AUTO(mem_free) char *id = mem_printf("id-%03d", n);
    run("INSERT INTO devices (id, tenant_id, id_hash, id_data, status, created_ms, updated_ms) "
        "VALUES ($1, '', $1, '{}', 'accepted', 0, 0)",
        DB_ARGS(db_text(id)));
    run("INSERT INTO auth_sets (id, tenant_id, device_id, key_hash, pubkey, status, created_ms) "
        "VALUES ($1, '', $1, '', '', 'accepted', 0)",
        DB_ARGS(db_text(id)));
    run("INSERT INTO device_tokens (id, tenant_id, device_id, issued_ms, expires_ms) VALUES ($1, '', $1, 0, $2)",
        DB_ARGS(db_text(id), db_int(expires_ms)));
}

static int64_t device_tokens(void)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, "SELECT COUNT(*) FROM device_tokens", DB_ARGS(), &rows));
    return db_rows_next(rows) ? db_rows_int(rows, 0) : -1;
}

START_TEST(a_sweep_of_devices_goes_through_all_rows)
{
    struct issuer_config config = usual;
    config.kind = ISSUER_DEVICES;
    config.leeway_s = 2;
    begin(_i, &config);
    int64_t deleted = -1;
    ck_ok(issuer_sweep(issuer, 2, &deleted));
    ck_assert_int_eq(deleted, 0);
    enum { ROWS = 13 };
    for (int i = 0; i < ROWS; i++)
        insert_device_token(i, i % 3 == 0 ? NOW_MS - 2000 : NOW_MS - 1999);
    ck_ok(issuer_sweep(issuer, 2, &deleted));
    ck_assert_int_eq(deleted, 2);
    ck_assert_int_eq(device_tokens(), ROWS - 2);
    clock_set(NOW_MS + 1);
    ck_ok(issuer_sweep(issuer, 100, &deleted)); /* from where it stood */
    ck_assert_int_ge(deleted, 3);
    int64_t sum = 2 + deleted;
    ck_ok(issuer_sweep(issuer, 100, &deleted)); /* from the start */
    ck_assert_int_eq(sum + deleted, ROWS);
    ck_assert_int_eq(device_tokens(), 0);
    finish();
}
END_TEST

START_TEST(a_sweep_deletes_what_expired_in_batches)
{
    struct issuer_config config = usual;
    config.leeway_s = 2;
    begin(_i, &config);
    insert_user("u", "");
    for (int i = 0; i < 5; i++) {
        AUTO(mem_free) char *jti = mem_printf("old-%d", i);
        insert_token(jti, "u", i % 2 == 0 ? NULL : jti, NOW_MS - 2000 - i);
    }
    insert_token("within leeway", "u", NULL, NOW_MS - 1999);
    insert_token("fresh", "u", NULL, NOW_MS + 1);
    insert_token("endless", "u", NULL, 0);
    int64_t deleted = 0;
    ck_ok(issuer_sweep(issuer, 3, &deleted));
    ck_assert_int_eq(deleted, 3);
    ck_ok(issuer_sweep(issuer, 3, &deleted));
    ck_assert_int_eq(deleted, 2);
    ck_ok(issuer_sweep(issuer, 3, &deleted));
    ck_assert_int_eq(deleted, 0);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, "SELECT id FROM tokens", DB_ARGS(), &rows));
    ck_assert_uint_eq(db_rows_count(rows), 3);
}
END_TEST

START_TEST(its_parts_are_given_back)
{
    begin(-1, &usual);
    ck_assert_ptr_eq(issuer_ring(issuer), ring);
    ck_assert_ptr_eq(issuer_db(issuer), db);
    ck_assert_int_eq(issuer_config(issuer)->lifetime_s, 3600);
    ck_assert_str_eq(issuer_config(issuer)->iss, "mender.useradm");
    ck_assert_ptr_ne(issuer_config(issuer)->iss, usual.iss);
}
END_TEST

#define THREADS 4
#define TOKENS 8

static char *tokens[TOKENS];
static atomic_bool is_over;
static atomic_int faults;

static void *check_all(void *arg)
{
    (void)arg;
    while (!is_over) {
        for (int i = 0; i < TOKENS; i++) {
            struct issuer_token token;
            if (check(tokens[i], &token) != ERR_OK || issuer_alive(issuer, &token, true) != ERR_OK)
                atomic_fetch_add(&faults, 1);
        }
    }
    return NULL;
}

/* Keys come and go and tokens are revoked, yet those of a key that stays are never refused. */
START_TEST(good_tokens_pass_while_keys_turn)
{
    struct issuer_config config = usual;
    config.cache_entries = 6;
    begin(0, &config);
    insert_user("u", "");
    for (int i = 0; i < TOKENS; i++) {
        struct claims claims;
        int64_t kid = 0;
        ck_ok(issuer_sign(issuer, "u", "", 3600, &claims, &kid, &tokens[i]));
        insert_token(claims.jti, "u", NULL, 0);
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, check_all, NULL), 0);
    AUTO(mem_free) char *path = support_path(dir, "private.id.6.pem");
    for (int i = 0; i < 20; i++) {
        add_key("private.id.6.pem");
        ck_ok(keyring_reload(ring));
        issuer_revoked(issuer);
        ck_assert_int_eq(unlink(path), 0);
        ck_ok(keyring_reload(ring));
    }
    is_over = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(faults, 0);
    for (int i = 0; i < TOKENS; i++)
        mem_wipe(&tokens[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("issuer");
    TCase *tc = tcase_create("issuer");
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(tc, NULL, finish);
    tcase_add_test(tc, signs_what_it_takes);
    tcase_add_test(tc, ids_of_tokens_sort_by_age);
    tcase_add_test(tc, a_token_can_live_for_ever);
    tcase_add_test(tc, a_subject_that_does_not_fit_is_not_signed);
    tcase_add_test(tc, refuses_what_was_altered);
    tcase_add_loop_test(tc, refuses_signed_nonsense, 0, sizeof bad_payloads / sizeof *bad_payloads);
    tcase_add_test(tc, any_issuer_is_fine_unless_configured);
    tcase_add_test(tc, a_signature_is_verified_once);
    tcase_add_test(tc, without_a_cache_each_check_verifies);
    tcase_add_test(tc, expires_at_exp_while_remembered);
    tcase_add_test(tc, leeway_forgives_seconds);
    tcase_add_test(tc, a_removed_key_ends_remembered_tokens);
    tcase_add_test(tc, another_key_under_the_same_id_ends_remembered_tokens);
    tcase_add_loop_test(tc, a_removed_key_ends_remembered_tokens_of_the_fallback_key, 0, 2);
    tcase_add_test(tc, the_newest_key_signs_after_a_reload);
    tcase_add_test(tc, only_rsa_signs_slowly);
    tcase_add_loop_test(tc, a_token_with_user_and_row_is_alive, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_token_is_dead_without_user_or_row, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, liveness_is_remembered_for_a_while, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, who_may_not_wait_asks_a_database_that_answers_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, who_may_not_wait_notes_no_use, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_dead_token_is_asked_for_again, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_revocation_here_counts_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_revocation_elsewhere_counts_within_half_a_second, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_row_can_expire_before_its_token, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_use_of_a_named_token_is_noted_now_and_then, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_use_that_cannot_be_noted_hurts_nobody, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_use_of_other_tokens_is_not_noted, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_answer_has_an_end_even_if_nothing_is_heard, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, memory_of_tokens_that_are_over_is_given_back);
    tcase_add_loop_test(tc, a_sweep_deletes_what_expired_in_batches, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_sweep_of_devices_goes_through_all_rows, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, its_parts_are_given_back);
    tcase_add_test(tc, good_tokens_pass_while_keys_turn);
    return s;
}

int main(void)
{
    return support_main(suite());
}
