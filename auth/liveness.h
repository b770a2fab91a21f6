/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_LIVENESS_H
#define AUTH_LIVENESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"

/*
 * How long it may be believed that a token, once the database was asked, is alive.
 *
 * Whatever can kill a token writes the token's id into a log, in the same transaction (migrations/0009_token_changes).
 * A thread reads the log on, every LIVENESS_POLL_MS or when a notice comes, and a token that it meets there is not
 * believed any more. Having read everything at a time t, what is believed holds until t + LIVENESS_LEASE_MS: when the
 * thread falls behind, or the database cannot be reached, that passes, and until the log is read again an answer counts
 * LIVENESS_BLIND_MS from when it was given. So, whatever fails, nobody believes in a token for longer than a second
 * after it died. New tokens are of no concern: the database is asked about each once.
 *
 * Any thread may call; liveness_believes() and liveness_ask() neither lock nor wait.
 */
struct liveness;

#define LIVENESS_POLL_MS 200
#define LIVENESS_LEASE_MS 900
#define LIVENESS_BLIND_MS 500

/* An answer of the database: that token is alive. All zero: nothing is known. */
struct liveness_found {
    int64_t asked_ms; /* clock_mono_ms() before the database was asked */
    int64_t until_ms; /* it is to be asked again then, whatever happens */
    uint64_t stamp;   /* of the token, before the database was asked */
};

/* db is borrowed. Until liveness_start() only this process's revocations are heard of. */
struct liveness *liveness_new(struct db *db);
void liveness_free(struct liveness **liveness);

/* Read the log from now on, on a thread and a connection of its own. It need not succeed at first. ERR_INTERNAL */
enum err liveness_start(struct liveness *liveness);

/* Begin to ask about a token: before the database is. The caller sets until_ms. */
struct liveness_found liveness_ask(struct liveness *liveness, const char *jti);

/* Whether an answer about a token still counts. */
bool liveness_believes(struct liveness *liveness, const char *jti, const struct liveness_found *found);

/*
 * Tell of a revocation that this process has committed: it counts here when this returns. Reads the log, or, where that
 * is not possible, makes everything be asked again.
 */
void liveness_revoked(struct liveness *liveness);

/* Delete rows of the log that everybody has read long ago. To be called now and then, by one thread. */
void liveness_sweep(struct liveness *liveness);

#endif
