/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_GUARD_DB_H
#define AUTH_GUARD_DB_H

#include <stddef.h>
#include <stdint.h>

#include "auth/guard.h"
#include "lib/db.h"
#include "lib/err.h"

/* The table login_failures (migrations/0004_login_failures.sql). Storage errors pass through. */

struct guard_row {
    int64_t failures;
    int64_t refused;
    int64_t forget_ms;
    int64_t until_ms;
    int64_t trusted_ms;
};

/* The rows of an account from a network and from everywhere; all zeros when there is none. */
enum err guard_db_load(struct db *db, const char *account, const char *network, struct guard_row *here,
                       struct guard_row *everywhere);

/* Insert or replace a row that is of use until expires_ms; network "": from everywhere. */
enum err guard_db_save(struct db *db, const char *account, const char *network, const struct guard_row *row,
                       int64_t expires_ms);

/* The failures of an account that count at now_ms, from everywhere first; the caller frees *out. */
enum err guard_db_list(struct db *db, const char *account, int64_t now_ms, struct guard_record **out, size_t *n);

/* Forget all failures of an account. */
enum err guard_db_clear(struct db *db, const char *account);

/* Delete up to batch rows that expired at before_ms or earlier. */
enum err guard_db_delete_expired(struct db *db, int64_t before_ms, int64_t batch, int64_t *deleted);

#endif
