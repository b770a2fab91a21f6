/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/pat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pat_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/rand.h"
#include "lib/sat.h"

METRICS_COUNTER(issued, "mintd_tokens_issued_total", "kind=\"pat\"", "Tokens issued, by kind.");

enum { NAME_BYTES_MAX = 4096 };

json_t *pat_json(const struct pat *pat)
{
    json_t *object = json_object();
    json_object_set_new(object, "id", json_string(pat->id));
    json_object_set_new(object, "name", json_string(pat->name));
    if (pat->last_used_ms != INT64_MIN)
        json_set_time(object, "last_used", pat->last_used_ms);
    if (pat->expires_ms != INT64_MAX)
        json_set_time(object, "expiration_date", pat->expires_ms);
    json_set_time(object, "created_ts", pat->issued_ms);
    return object;
}

/* What is wrong with the lifetime, "" for nothing. */
static void find_lifetime_fault(int64_t lifetime_s, int64_t max, char *out, size_t size)
{
    *out = '\0';
    if (lifetime_s < 0)
        snprintf(out, size, "expires_in: must be no less than 0");
    else if (lifetime_s > max)
        snprintf(out, size, "expires_in: must be no greater than %" PRId64, max);
}

enum err pat_check(const char *name, int64_t lifetime_s, int64_t lifetime_max_s, char why[PAT_WHY_SIZE])
{
    char lifetime_fault[64];
    find_lifetime_fault(lifetime_s, lifetime_max_s, lifetime_fault, sizeof lifetime_fault);
    const char *name_fault = "";
    if (*name == '\0')
        name_fault = "name: cannot be blank";
    else if (strlen(name) > NAME_BYTES_MAX)
        name_fault = "name: the length must be no more than 4096";
    if (*lifetime_fault == '\0' && *name_fault == '\0')
        return ERR_OK;
    const char *between = *lifetime_fault != '\0' && *name_fault != '\0' ? "; " : "";
    snprintf(why, PAT_WHY_SIZE, "%s%s%s.", lifetime_fault, between, name_fault);
    return ERR_INVALID;
}

/* What one transaction writes. */
struct creation {
    const char *caller; /* jti that must be there; NULL: not asked */
    int64_t max;
    struct pat_row row;
};

static enum err record(struct db *tx, void *arg)
{
    const struct creation *creation = arg;
    const struct pat_row *row = &creation->row;
    TRY(pat_db_check_user(tx, row->tenant, row->user_id));
    if (creation->caller != NULL)
        TRY(pat_db_check_token(tx, row->tenant, row->user_id, creation->caller));
    int64_t all = 0;
    int64_t same = 0;
    TRY(pat_db_count(tx, row->tenant, row->user_id, row->name, &all, &same));
    if (creation->max > 0 && all >= creation->max)
        return ERR_TOKEN_LIMIT;
    if (same > 0)
        return ERR_TOKEN_NAME;
    return pat_db_insert(tx, row);
}

/* Signing goes before the row: a key that is out of order leaves nothing behind. */
enum err pat_create(struct issuer *issuer, const struct claims *caller, bool needs_alive, const char *name,
                    int64_t lifetime_s, char **token)
{
    struct claims claims;
    int64_t kid = 0;
    AUTO(mem_wipe) char *signed_token = NULL;
    TRY(issuer_sign(issuer, caller->sub, caller->tenant, lifetime_s, &claims, &kid, &signed_token));
    struct creation creation = {
        .caller = needs_alive ? caller->jti : NULL,
        .max = issuer_config(issuer)->pats_max,
        .row = {.id = claims.jti,
                .tenant = claims.tenant,
                .user_id = claims.sub,
                .name = name,
                .kid = kid,
                .issued_ms = clock_ms(),
                .expires_ms = sat_mul(claims.exp, 1000)},
    };
    TRY(db_tx(issuer_db(issuer), record, &creation));
    metrics_add(&issued, 1);
    *token = MOVE(signed_token);
    return ERR_OK;
}

enum err pat_list(struct issuer *issuer, const struct claims *caller, struct pat **out, size_t *n)
{
    return pat_db_list(issuer_db(issuer), caller->tenant, caller->sub, out, n);
}

void pat_list_free(struct pat **list, size_t n)
{
    for (size_t i = 0; *list != NULL && i < n; i++) {
        mem_free(&(*list)[i].id);
        mem_free(&(*list)[i].name);
    }
    free(*list);
    *list = NULL;
}

enum err pat_delete(struct issuer *issuer, const struct claims *caller, const char *id)
{
    /* no row has another id, and PostgreSQL does not take every byte as text */
    if (!rand_is_uuid(id))
        return ERR_OK;
    TRY(pat_db_delete(issuer_db(issuer), caller->sub, id));
    /* also when another process was faster: here it may have been believed alive */
    issuer_revoked(issuer);
    return ERR_OK;
}
