/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/guard.h"

#include <stdlib.h>
#include <string.h>

#include "auth/guard_db.h"
#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"

#define FAILURES "mintd_login_failures_total"
#define FAILURES_HELP "Logins that failed, by why: wrong credentials, or a delay or lock had not ended."
#define LOCKS "mintd_login_locked_total"
#define LOCKS_HELP "Locks that began after failed logins: of an account for one network, or for all strangers."

METRICS_COUNTER(failed, FAILURES, "reason=\"credentials\"", FAILURES_HELP);
METRICS_COUNTER(refused, FAILURES, "reason=\"locked\"", FAILURES_HELP);
METRICS_COUNTER(network_locks, LOCKS, "scope=\"network\"", LOCKS_HELP);
METRICS_COUNTER(account_locks, LOCKS, "scope=\"account\"", LOCKS_HELP);

enum { V4_BITS = 24, V6_BITS = 64, FEW_FAILURES = 5, DELAY_MAX_S = 60 };

static const int64_t hour_ms = INT64_C(3600) * 1000;
static const int64_t day_ms = INT64_C(86400) * 1000;

#define ACCOUNT_SIZE (BASE64_ENCODED(JWS_DIGEST_SIZE) + 1)

/* One judgement; what comes out is set anew when the transaction is repeated. */
struct judgement {
    const struct guard_config *config;
    const struct guard_attempt *attempt;
    char account[ACCOUNT_SIZE];
    char network[NET_TEXT_SIZE];
    int64_t now_ms;
    struct guard_row here;
    struct guard_row everywhere;
    bool is_refused;
    bool locks_network, locks_account;
};

static bool is_on(const struct guard_config *config)
{
    return config->delay_after > 0 || config->lock_after > 0 || config->account_lock_after > 0;
}

/*
 * The account's name in the table. Whatever has no @ can be nobody's e-mail: all such attempts are one account, so that
 * a password that somebody typed into the wrong field is not kept even as a digest.
 */
static void name_account(const char *email, char out[ACCOUNT_SIZE])
{
    AUTO(mem_free) char *name = mem_strdup(strchr(email, '@') != NULL ? email : "");
    for (char *p = name; *p != '\0'; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    uint8_t digest[JWS_DIGEST_SIZE];
    jws_digest(name, strlen(name), digest);
    out[base64_encode(BASE64_URL, digest, sizeof digest, out)] = '\0';
}

static void name_network(const char *client, char out[NET_TEXT_SIZE])
{
    struct net address = {0};
    if (!net_parse_address(client, strlen(client), &address))
        memset(&address, 0, sizeof address);
    struct net network = net_around(&address, V4_BITS, V6_BITS);
    net_text(&network, out);
}

static bool meets_lock(const struct judgement *j)
{
    if (j->here.until_ms > j->now_ms)
        return true;
    return j->everywhere.until_ms > j->now_ms && j->here.trusted_ms <= j->now_ms;
}

static bool is_lock(int64_t failures, int64_t lock_after)
{
    return lock_after > 0 && failures >= lock_after;
}

/* How long the network has to wait after so many failures. */
static int64_t pause_s(const struct guard_config *config, int64_t failures)
{
    if (is_lock(failures, config->lock_after))
        return config->lock_s;
    int64_t over = failures - config->delay_after;
    if (config->delay_after == 0 || over <= 0)
        return 0;
    int64_t delay_s = over > 6 ? DELAY_MAX_S : INT64_C(1) << (over - 1);
    return delay_s < config->lock_s || config->lock_after == 0 ? delay_s : config->lock_s;
}

static void start_over(struct guard_row *row, int64_t now_ms)
{
    if (row->forget_ms > now_ms)
        return;
    row->failures = 0;
    row->refused = 0;
    row->forget_ms = now_ms + hour_ms;
}

static void count_failure(struct guard_row *row, int64_t now_ms)
{
    start_over(row, now_ms);
    row->failures++;
    if (row->failures == FEW_FAILURES + 1)
        row->forget_ms = now_ms + day_ms;
}

/* A pause that runs is not prolonged. */
static bool wait_until(struct guard_row *row, int64_t now_ms, int64_t seconds)
{
    if (seconds == 0 || row->until_ms > now_ms)
        return false;
    row->until_ms = now_ms + seconds * 1000;
    if (row->forget_ms < row->until_ms)
        row->forget_ms = row->until_ms;
    return true;
}

static void count_failures(struct judgement *j)
{
    const struct guard_config *config = j->config;
    count_failure(&j->here, j->now_ms);
    count_failure(&j->everywhere, j->now_ms);
    bool waits = wait_until(&j->here, j->now_ms, pause_s(config, j->here.failures));
    j->locks_network = waits && is_lock(j->here.failures, config->lock_after);
    bool is_over = is_lock(j->everywhere.failures, config->account_lock_after);
    j->locks_account = wait_until(&j->everywhere, j->now_ms, is_over ? config->lock_s : 0);
}

/* Refusals are written like failures: a lock must not show by the time that a write takes. */
static void count_refusal(struct judgement *j)
{
    start_over(&j->here, j->now_ms);
    start_over(&j->everywhere, j->now_ms);
    j->here.refused++;
    j->everywhere.refused++;
}

static enum err save(struct db *tx, const struct judgement *j, const char *network, const struct guard_row *row)
{
    int64_t expires_ms = row->forget_ms > row->until_ms ? row->forget_ms : row->until_ms;
    if (expires_ms < row->trusted_ms)
        expires_ms = row->trusted_ms;
    return guard_db_save(tx, j->account, network, row, expires_ms);
}

/* Most logins come from where the last one came from, without a failure between: then nothing is written. */
static enum err let_in(struct db *tx, const struct judgement *j)
{
    int64_t trusted_ms = j->now_ms + GUARD_TRUST_DAYS * day_ms;
    if (j->here.failures == 0 && j->here.trusted_ms > trusted_ms - day_ms)
        return ERR_OK;
    return save(tx, j, j->network, &(struct guard_row){.trusted_ms = trusted_ms});
}

static enum err judge(struct db *tx, void *arg)
{
    struct judgement *j = arg;
    TRY(guard_db_load(tx, j->account, j->network, &j->here, &j->everywhere));
    j->now_ms = clock_ms();
    j->locks_network = j->locks_account = false;
    j->is_refused = meets_lock(j);
    if (!j->is_refused && j->attempt->is_right)
        return let_in(tx, j);
    if (j->is_refused)
        count_refusal(j);
    else
        count_failures(j);
    TRY(save(tx, j, j->network, &j->here));
    return save(tx, j, "", &j->everywhere);
}

static void report(const struct judgement *j)
{
    metrics_add(j->is_refused ? &refused : &failed, 1);
    if (!j->locks_network && !j->locks_account)
        return;
    metrics_add(&network_locks, j->locks_network);
    metrics_add(&account_locks, j->locks_account);
    /* what nobody's e-mail is was chosen by a stranger and says nothing */
    const struct guard_attempt *attempt = j->attempt;
    bool is_known = attempt->user_id != NULL;
    log_warn(j->locks_account ? "logins are locked for strangers after too many failures"
                              : "logins are locked for a network after too many failures",
             LOG_STR("email", is_known ? attempt->email : "unknown"), LOG_STR("user_id", attempt->user_id),
             LOG_STR("network", j->network),
             LOG_INT("failures", j->locks_account ? j->everywhere.failures : j->here.failures),
             LOG_INT("seconds", j->config->lock_s));
}

enum err guard_judge(struct db *db, const struct guard_config *config, const struct guard_attempt *attempt)
{
    struct judgement j = {.config = config, .attempt = attempt};
    if (is_on(config)) {
        name_account(attempt->email, j.account);
        name_network(attempt->client, j.network);
        TRY(db_tx(db, judge, &j));
    }
    if (attempt->is_right && !j.is_refused)
        return ERR_OK;
    report(&j);
    return ERR_UNAUTHORIZED;
}

struct unlocking {
    char account[ACCOUNT_SIZE];
    struct guard_record *records;
    size_t n;
};

static enum err unlock(struct db *tx, void *arg)
{
    struct unlocking *u = arg;
    struct guard_record *records = NULL;
    TRY(guard_db_list(tx, u->account, clock_ms(), &records, &u->n));
    free(u->records);
    u->records = records;
    return guard_db_clear(tx, u->account);
}

enum err guard_unlock(struct db *db, const char *email, struct guard_record **out, size_t *n)
{
    struct unlocking u = {0};
    name_account(email, u.account);
    enum err e = db_tx(db, unlock, &u);
    if (e != ERR_OK) {
        free(u.records);
        return e;
    }
    *out = u.records;
    *n = u.n;
    return ERR_OK;
}

enum err guard_forget(struct db *tx, const char *email)
{
    char account[ACCOUNT_SIZE];
    name_account(email, account);
    return guard_db_clear(tx, account);
}

enum err guard_sweep(struct db *db, int64_t batch, int64_t *deleted)
{
    return guard_db_delete_expired(db, clock_ms(), batch, deleted);
}
