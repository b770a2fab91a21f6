/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_GUARD_H
#define AUTH_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/err.h"
#include "lib/net.h"

/*
 * Protection of logins against guessing (NIST SP 800-63B section 5.2.2). Failures are counted for each account and
 * client network (IPv4 /24, IPv6 /64), and for the account from everywhere. From one network, failures over
 * delay_after bring a pause of 1, 2, 4 ... 60 seconds each, lock_after of them a lock. An attempt that comes before
 * the end of a pause or lock is refused whatever its password, and prolongs nothing. A login forgets the failures of
 * its account and network.
 *
 * account_lock_after failures from everywhere lock the account for strangers: a network that its owner has logged in
 * from within GUARD_TRUST_DAYS stays usable, so that nobody is locked out of the account from afar.
 *
 * Five failures or fewer are forgotten an hour after the first, more a day after the sixth. All of it is in the
 * database: the same for every process on it, and exact however many attempts come at the same time.
 *
 * What a caller sees must not tell accounts that exist from those that do not, nor a lock from a wrong password: every
 * attempt that fails does the same work here.
 */
struct guard_config {
    int64_t delay_after; /* failures from one network without a delay; 0: no delays */
    int64_t lock_after;  /* failures from one network that lock it out; 0: no such lock */
    int64_t lock_s;
    int64_t account_lock_after; /* failures from everywhere that lock strangers out; 0: no such lock */
};

#define GUARD_TRUST_DAYS 30

struct guard_attempt {
    const char *email;   /* as it was sent */
    const char *client;  /* the client's address */
    const char *user_id; /* NULL: nobody has this e-mail */
    bool is_right;       /* the password is the user's */
};

/*
 * Judge an attempt whose password was compared already, and count it. The beginning of a lock is logged.
 * ERR_OK: let it in; ERR_UNAUTHORIZED; storage errors
 */
enum err guard_judge(struct db *db, const struct guard_config *config, const struct guard_attempt *attempt);

/* The failures of an account from a network, as they count now. */
struct guard_record {
    char network[NET_TEXT_SIZE]; /* "": from everywhere */
    int64_t failures;
    int64_t refused;  /* attempts that came before the end of a delay or lock */
    int64_t until_ms; /* the end of the last delay or lock; 0: there was none */
};

/*
 * Forget the failures of an account, whether somebody has it or not, so that nothing holds it up; known networks stay
 * known. *out receives what was forgotten, n records, from everywhere first; the caller frees it.
 */
enum err guard_unlock(struct db *db, const char *email, struct guard_record **out, size_t *n);

/* The same without a report, inside a transaction that changes the user. */
enum err guard_forget(struct db *tx, const char *email);

/* Delete rows that say nothing any more, up to batch of them. */
enum err guard_sweep(struct db *db, int64_t batch, int64_t *deleted);

#endif
