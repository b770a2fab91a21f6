/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/issuer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cache.h"
#include "auth/issuer_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/rand.h"
#include "lib/sat.h"

METRICS_COUNTER(checked_cached, "mintd_tokens_checked_total", "result=\"cached\"", "Tokens checked, by result.");
METRICS_COUNTER(checked_verified, "mintd_tokens_checked_total", "result=\"verified\"", "Tokens checked, by result.");
METRICS_COUNTER(checked_refused, "mintd_tokens_checked_total", "result=\"refused\"", "Tokens checked, by result.");
METRICS_COUNTER(revocations, "mintd_revocations_total", "", "Revocations made in this process.");

struct issuer {
    struct issuer_config config;
    struct db *db;
    struct keyring *ring;
    struct cache *cache;
    struct liveness *own; /* NULL: the configuration's */
    struct liveness *liveness;
    char swept[CLAIMS_TEXT_SIZE]; /* rows of devices' tokens up to this id have been looked at; for who sweeps */
};

/* A sweep of devices' tokens looks at so many batches of rows at most, and goes on there the next time. */
#define SWEEP_PARTS 100

static const char *const *copy_list(const char *const *list)
{
    size_t n = 0;
    while (list != NULL && list[n] != NULL)
        n++;
    if (n == 0)
        return NULL;
    const char **copy = mem_calloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

static void free_list(const char *const *list)
{
    for (size_t i = 0; list != NULL && list[i] != NULL; i++)
        free((void *)(uintptr_t)list[i]);
    free((void *)(uintptr_t)list);
}

static int64_t leeway_ms(const struct issuer *issuer)
{
    return sat_mul(issuer->config.leeway_s, 1000);
}

static bool is_accepted(const struct issuer *issuer, const char *iss)
{
    if (issuer->config.accepted == NULL)
        return true;
    for (const char *const *want = issuer->config.accepted; *want != NULL; want++) {
        if (strcmp(*want, iss) == 0)
            return true;
    }
    return false;
}

struct issuer *issuer_new(const struct issuer_config *config, struct db *db, struct keyring *ring)
{
    struct issuer *issuer = mem_calloc(1, sizeof *issuer);
    issuer->config = *config;
    issuer->config.iss = mem_strdup(config->iss);
    issuer->config.accepted = copy_list(config->accepted);
    issuer->db = db;
    issuer->ring = ring;
    issuer->cache = cache_new(config->cache_entries, config->cache_bytes);
    issuer->own = config->liveness == NULL ? liveness_new(db) : NULL;
    issuer->liveness = config->liveness != NULL ? config->liveness : issuer->own;
    return issuer;
}

void issuer_free(struct issuer **issuer)
{
    if (*issuer == NULL)
        return;
    cache_free(&(*issuer)->cache);
    liveness_free(&(*issuer)->own);
    free((void *)(uintptr_t)(*issuer)->config.iss);
    free_list((*issuer)->config.accepted);
    free(*issuer);
    *issuer = NULL;
}

const struct issuer_config *issuer_config(const struct issuer *issuer)
{
    return &issuer->config;
}

struct db *issuer_db(const struct issuer *issuer)
{
    return issuer->db;
}

struct keyring *issuer_ring(const struct issuer *issuer)
{
    return issuer->ring;
}

/* ERR_SIGN when text does not fit: it would name somebody else. */
static enum err put_text(char *to, size_t size, const char *text)
{
    if (strlen(text) >= size) {
        log_error("a claim is too long to be signed", LOG_INT("bytes_max", size - 1));
        return ERR_SIGN;
    }
    snprintf(to, size, "%s", text);
    return ERR_OK;
}

static int64_t expiry(int64_t now, int64_t lifetime_s)
{
    return lifetime_s > 0 ? sat_add(now, lifetime_s) : CLAIMS_NO_EXPIRY;
}

int64_t issuer_expiry(const struct issuer *issuer, int64_t now_s)
{
    return expiry(now_s, issuer->config.lifetime_s);
}

static enum err make_claims(const struct issuer *issuer, const char *sub, const char *tenant, int64_t now,
                            int64_t lifetime_s, struct claims *out)
{
    struct claims claims = {
        .exp = expiry(now, lifetime_s),
        .iat = now,
        .nbf = now,
    };
    TRY(put_text(claims.sub, sizeof claims.sub, sub));
    TRY(put_text(claims.tenant, sizeof claims.tenant, tenant));
    TRY(put_text(claims.iss, sizeof claims.iss, issuer->config.iss));
    *out = claims;
    return ERR_OK;
}

/* One view for kid, header and signature: the ring may turn at any time. */
static enum err sign(struct issuer *issuer, const char *payload, int64_t *kid, char **token)
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(issuer->ring);
    const struct key *key = keyset_signing(view.set);
    if (key == NULL)
        return ERR_KEY_NONE;
    TRY(jws_sign(key, payload, strlen(payload), token));
    *kid = key_kid(key);
    return ERR_OK;
}

enum err issuer_sign(struct issuer *issuer, const char *sub, const char *tenant, int64_t lifetime_s,
                     struct claims *claims, int64_t *kid, char **token)
{
    struct claims made;
    TRY(make_claims(issuer, sub, tenant, clock_s(), lifetime_s, &made));
    rand_uuid_ordered(made.jti);
    TRY(put_text(made.scp, sizeof made.scp, CLAIMS_SCOPE_USER));
    made.is_user = true;
    AUTO(mem_free) char *payload = claims_write(&made, NULL);
    TRY(sign(issuer, payload, kid, token));
    *claims = made;
    return ERR_OK;
}

enum err issuer_sign_device(struct issuer *issuer, const char *set_id, const char *device_id, const char *tenant,
                            const struct claims_plan *plan, int64_t now_s, char **token)
{
    struct claims made;
    int64_t kid = 0;
    TRY(make_claims(issuer, device_id, tenant, now_s, issuer->config.lifetime_s, &made));
    TRY(put_text(made.jti, sizeof made.jti, set_id));
    made.is_device = true;
    AUTO(mem_free) char *payload = claims_write(&made, plan);
    return sign(issuer, payload, &kid, token);
}

/*
 * Whether the key a token was verified with is one that set would use for it still: the same load of it, not only the
 * same id; the fallback key only while there is the key that the token asks for.
 */
static bool is_current(const struct keyset *set, const struct cache_key *used)
{
    const struct key *key = keyset_find(set, used->kid);
    const struct key *fallback = keyset_fallback(set);
    if (key == NULL)
        return false;
    return key_serial(key) == used->serial || (fallback != NULL && key_serial(fallback) == used->serial);
}

/* From memory. The clock moves on: times are checked each time. ERR_NOT_FOUND: to be verified */
static enum err recall(struct issuer *issuer, const struct keyset *set, const uint8_t digest[JWS_DIGEST_SIZE],
                       struct issuer_token *out)
{
    struct cache_key used;
    if (!cache_find(issuer->cache, digest, out, &used) || !is_current(set, &used))
        return ERR_NOT_FOUND;
    TRY(claims_check(&out->claims, clock_s(), issuer->config.leeway_s));
    metrics_add(&checked_cached, 1);
    return ERR_OK;
}

/* What tokens of either kind must say; a person's scope is compared where it counts, so that it gets its own answer. */
static bool is_of_kind(const struct issuer *issuer, const struct claims *claims)
{
    return issuer->config.kind == ISSUER_DEVICES ? claims->is_device && !claims->is_user : claims->scp[0] != '\0';
}

static enum err verify(struct issuer *issuer, const struct keyset *set, const char *token, size_t len,
                       struct issuer_token *out)
{
    struct jws jws;
    char why[CLAIMS_WHY_SIZE];
    TRY(jws_verify(set, token, len, &jws));
    if (claims_parse(jws.payload, jws.payload_len, why, &out->claims) != ERR_OK)
        return ERR_TOKEN_INVALID;
    TRY(claims_check(&out->claims, clock_s(), issuer->config.leeway_s));
    if (!is_of_kind(issuer, &out->claims) || !is_accepted(issuer, out->claims.iss))
        return ERR_TOKEN_INVALID;
    cache_insert(issuer->cache, out, &(struct cache_key){.kid = jws.kid, .serial = key_serial(jws.key)});
    metrics_add(&checked_verified, 1);
    return ERR_OK;
}

static enum err check(struct issuer *issuer, const char *token, size_t len, struct issuer_token *out)
{
    if (len > JWS_TOKEN_MAX)
        return ERR_TOKEN_INVALID;
    struct issuer_token found;
    jws_digest(token, len, found.digest);
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(issuer->ring);
    enum err e = recall(issuer, view.set, found.digest, &found);
    if (e == ERR_NOT_FOUND) {
        found.found = (struct liveness_found){0};
        e = verify(issuer, view.set, token, len, &found);
    }
    if (e == ERR_OK)
        *out = found;
    return e;
}

enum err issuer_check(struct issuer *issuer, const char *token, size_t len, struct issuer_token *out)
{
    enum err e = check(issuer, token, len, out);
    if (e != ERR_OK)
        metrics_add(&checked_refused, 1);
    return e;
}

static enum err load(const struct issuer *issuer, struct db *db, const struct claims *claims, struct issuer_row *out)
{
    if (issuer->config.kind == ISSUER_DEVICES)
        return issuer_db_load_device(db, claims->jti, claims->tenant, claims->sub, out);
    return issuer_db_load(db, claims->jti, claims->tenant, claims->sub, out);
}

/* How long it is until the use of a personal access token has to be noted; INT64_MAX: it need not be. */
static int64_t until_noted(const struct issuer *issuer, const struct issuer_row *row)
{
    int64_t every_ms = sat_mul(issuer->config.last_used_every_s, 1000);
    if (!row->is_named || every_ms <= 0)
        return INT64_MAX;
    return row->last_used_ms == INT64_MIN ? -1 : sat_add(row->last_used_ms, every_ms) - clock_ms();
}

/* A full disk, which is in the log by then, must not refuse good tokens. ERR_WOULD_BLOCK */
static enum err note_use(const struct issuer *issuer, struct db *db, const char *jti, struct issuer_row *row)
{
    int64_t now = clock_ms();
    if (until_noted(issuer, row) >= 0)
        return ERR_OK;
    enum err e = issuer_db_touch(db, jti, now, row->last_used_ms);
    if (e == ERR_OK)
        row->last_used_ms = now;
    return e == ERR_WOULD_BLOCK ? e : ERR_OK;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* For how long nobody need ask again, if nothing is heard. Also what could not be noted waits a little. */
static int64_t believed_ms(const struct issuer *issuer, const struct issuer_row *row, int64_t left_ms)
{
    int64_t noted = until_noted(issuer, row);
    return least(ISSUER_ALIVE_MS, least(left_ms, noted > LIVENESS_BLIND_MS ? noted : LIVENESS_BLIND_MS));
}

static enum err ask(struct issuer *issuer, struct db *db, const struct claims *claims, struct liveness_found *out)
{
    struct liveness_found found = liveness_ask(issuer->liveness, claims->jti);
    struct issuer_row row;
    enum err e = load(issuer, db, claims, &row);
    if (e == ERR_NOT_FOUND)
        return ERR_UNAUTHORIZED;
    TRY(e);
    int64_t left_ms = sat_add(row.expires_ms, leeway_ms(issuer)) - clock_ms();
    if (left_ms <= 0 || sat_mul(claims->iat, 1000) < row.since_ms)
        return ERR_UNAUTHORIZED;
    TRY(note_use(issuer, db, claims->jti, &row));
    found.until_ms = found.asked_ms + believed_ms(issuer, &row, left_ms);
    *out = found;
    return ERR_OK;
}

enum err issuer_alive(struct issuer *issuer, const struct issuer_token *token, bool may_block)
{
    if (liveness_believes(issuer->liveness, token->claims.jti, &token->found))
        return ERR_OK;
    struct liveness_found found;
    TRY(ask(issuer, may_block ? issuer->db : db_prompt(issuer->db), &token->claims, &found));
    cache_set_found(issuer->cache, token->digest, &found);
    return ERR_OK;
}

bool issuer_signs_slowly(struct issuer *issuer)
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(issuer->ring);
    const struct key *key = keyset_signing(view.set);
    return key != NULL && key_alg(key) <= KEY_PS512;
}

void issuer_revoked(struct issuer *issuer)
{
    liveness_revoked(issuer->liveness);
    metrics_add(&revocations, 1);
}

/* What a token of the cache is measured by. */
struct usable {
    const struct issuer *issuer;
    const struct keyset *set;
    int64_t now_s;
};

static bool is_usable(int64_t exp, const struct cache_key *used, const void *arg)
{
    const struct usable *usable = arg;
    return sat_add(exp, usable->issuer->config.leeway_s) > usable->now_s && is_current(usable->set, used);
}

void issuer_tidy(struct issuer *issuer)
{
    AUTO(keyring_release) struct keyring_view view = keyring_acquire(issuer->ring);
    cache_tidy(issuer->cache, is_usable, &(struct usable){.issuer = issuer, .set = view.set, .now_s = clock_s()});
}

/* Part after part, until enough was found or looked at, or all was. */
static enum err sweep_devices(struct issuer *issuer, int64_t before_ms, int64_t batch, int64_t *deleted)
{
    int64_t sum = 0;
    for (int i = 0; i < SWEEP_PARTS && sum < batch; i++) {
        int64_t n = 0;
        TRY(issuer_db_delete_expired_device(issuer->db, before_ms, batch, issuer->swept, &n));
        sum += n;
        if (issuer->swept[0] == '\0')
            break;
    }
    *deleted = sum;
    return ERR_OK;
}

enum err issuer_sweep(struct issuer *issuer, int64_t batch, int64_t *deleted)
{
    int64_t before_ms = clock_ms() - leeway_ms(issuer);
    if (issuer->config.kind == ISSUER_DEVICES)
        return sweep_devices(issuer, before_ms, batch, deleted);
    return issuer_db_delete_expired(issuer->db, before_ms, batch, deleted);
}
