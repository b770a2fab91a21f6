/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_enrol.h"

#include <stdio.h>
#include <string.h>

#include "auth/checkin.h"
#include "auth/device_change.h"
#include "auth/device_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/sat.h"

METRICS_COUNTER(asked_accepted, "mintd_auth_requests_total", "result=\"accepted\"", "Devices' requests, by result.");
METRICS_COUNTER(asked_refused, "mintd_auth_requests_total", "result=\"refused\"", "Devices' requests, by result.");
METRICS_COUNTER(issued, "mintd_tokens_issued_total", "kind=\"device\"", "Tokens issued, by kind.");

/* What one transaction does. */
struct enrolment {
    const struct fleet *fleet;
    const struct device_identity *identity;
    const char *request_id;
    bool may_block;
    struct device_match found; /* the set that the request ended up with */
};

static struct auth_set *find_key(const struct device *device, const char *pubkey)
{
    for (size_t i = 0; i < device->sets; i++)
        if (strcmp(device->set[i].pubkey, pubkey) == 0)
            return &device->set[i];
    return NULL;
}

/* The operator said yes in advance: now is the time (contract/deviceauth 2.7, step 1). */
static enum err accept(struct enrolment *enrolment, struct db *tx, struct device *device, struct auth_set *set)
{
    if (device->status != DEVICE_ACCEPTED) {
        enum err e = device_change_check_limit(tx, device->tenant_id);
        if (e == ERR_DEVICE_LIMIT)
            return ERR_UNAUTHORIZED;
        TRY(e);
    }
    TRY(device_change_set(tx, device, set, DEVICE_ACCEPTED));
    return device_change_status(enrolment->fleet, tx, device, DEVICE_ACCEPTED, set, enrolment->request_id);
}

/* A key that was not seen before waits for somebody's decision. */
static enum err submit(struct enrolment *enrolment, struct db *tx, struct device *device, struct auth_set **set)
{
    const struct device_identity *identity = enrolment->identity;
    TRY(device_change_add_set(tx, device, identity->pubkey, identity->key_hash, DEVICE_PENDING, set));
    if (DEVICE_PENDING >= device->status)
        return ERR_OK;
    return device_change_status(enrolment->fleet, tx, device, device_strongest(device), *set, enrolment->request_id);
}

static enum err find_device(struct enrolment *enrolment, struct db *tx, struct device **out)
{
    const struct device_identity *identity = enrolment->identity;
    enum err e = device_db_load_by_identity(tx, identity->tenant, identity->id_hash, out);
    if (e != ERR_DEVICE_NOT_FOUND)
        return e;
    AUTO(device_free) struct device *device = mem_calloc(1, sizeof *device);
    device->tenant_id = mem_strdup(identity->tenant);
    device->id_data = mem_strdup(identity->id_data);
    device->status = DEVICE_NOAUTH;
    TRY(device_change_insert(enrolment->fleet, tx, device, identity->id_hash, enrolment->request_id));
    *out = MOVE(device);
    return ERR_OK;
}

static enum err record(struct db *tx, void *arg)
{
    struct enrolment *enrolment = arg;
    AUTO(device_free) struct device *device = NULL;
    TRY(find_device(enrolment, tx, &device));
    if (device->is_decommissioning)
        return ERR_DEVICE_UNAUTHORIZED;
    struct auth_set *set = find_key(device, enrolment->identity->pubkey);
    if (set == NULL)
        TRY(submit(enrolment, tx, device, &set));
    else if (set->status == DEVICE_PREAUTHORIZED)
        TRY(accept(enrolment, tx, device, set));
    struct device_match found = {.status = set->status};
    snprintf(found.set_id, sizeof found.set_id, "%s", set->id);
    snprintf(found.device_id, sizeof found.device_id, "%s", device->id);
    enrolment->found = found;
    return ERR_OK;
}

/* Sets that are decided upon are found without a transaction; all else is written in one. */
static enum err find_set(struct enrolment *enrolment)
{
    const struct device_identity *identity = enrolment->identity;
    const struct fleet *fleet = enrolment->fleet;
    enum err e = device_db_match(fleet->db, identity->tenant, identity->id_hash, identity->key_hash, &enrolment->found);
    if (e == ERR_OK && enrolment->found.status != DEVICE_PREAUTHORIZED)
        return ERR_OK;
    if (e != ERR_OK && e != ERR_AUTH_SET_NOT_FOUND)
        return e;
    TRY(db_tx(fleet->db, record, enrolment));
    if (enrolment->found.status == DEVICE_ACCEPTED)
        issuer_revoked(fleet->tokens);
    return fleet->outbox != NULL ? outbox_flush(fleet->outbox, enrolment->found.device_id) : ERR_OK;
}

/*
 * The row of the token. It counts for twice the tokens' lifetime, so that most requests of an accepted device, which
 * comes again before that, find it good for one more token and write nothing.
 */
static enum err put_token(struct enrolment *enrolment, int64_t now_s)
{
    const struct fleet *fleet = enrolment->fleet;
    struct device_match *found = &enrolment->found;
    int64_t expiry_s = issuer_expiry(fleet->tokens, now_s);
    int64_t issued_ms = sat_mul(now_s, 1000);
    int64_t until_ms = sat_mul(sat_add(expiry_s, sat_add(expiry_s, -now_s)), 1000);
    struct db *db = enrolment->may_block ? fleet->db : db_prompt(fleet->db);
    enum err e = device_db_find_token(db, enrolment->identity, issued_ms, sat_mul(expiry_s, 1000), found);
    if (e != ERR_NOT_FOUND)
        return e;
    if (!enrolment->may_block)
        return ERR_WOULD_BLOCK;
    TRY(find_set(enrolment));
    if (found->status != DEVICE_ACCEPTED || found->is_decommissioning)
        return ERR_DEVICE_UNAUTHORIZED;
    e = device_db_put_token(fleet->db, enrolment->identity, issued_ms, until_ms, found);
    return e == ERR_NOT_FOUND ? ERR_DEVICE_UNAUTHORIZED : e;
}

/* Signing comes last: a row whose token nobody has does no harm. */
static enum err enrol(struct enrolment *enrolment, const struct claims_plan *plan, char **token)
{
    const struct fleet *fleet = enrolment->fleet;
    const struct device_match *set = &enrolment->found;
    int64_t now_s = clock_s();
    if (!enrolment->may_block && issuer_signs_slowly(fleet->tokens))
        return ERR_WOULD_BLOCK;
    TRY(put_token(enrolment, now_s));
    TRY(issuer_sign_device(fleet->tokens, set->set_id, set->device_id, enrolment->identity->tenant, plan, now_s,
                           token));
    metrics_add(&issued, 1);
    checkin_note(fleet->checkin, set->device_id);
    return ERR_OK;
}

enum err device_enrol(const struct fleet *fleet, const struct device_identity *identity, const struct claims_plan *plan,
                      const char *request_id, bool may_block, char **token)
{
    struct enrolment enrolment = {.fleet = fleet,
                                  .identity = identity,
                                  .request_id = request_id,
                                  .may_block = may_block};
    enum err e = enrol(&enrolment, plan, token);
    if (e == ERR_OK)
        metrics_add(&asked_accepted, 1);
    else if (err_status(e) == 401)
        metrics_add(&asked_refused, 1);
    return e;
}
