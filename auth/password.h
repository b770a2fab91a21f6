/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <stdbool.h>

#include "lib/err.h"

/* bcrypt through libxcrypt's crypt_r (contract/useradm 5). */

#define PASSWORD_COST_MIN 4
#define PASSWORD_COST_MAX 16

/* bcrypt looks at no byte after this many. */
#define PASSWORD_BYTES_MAX 72

/* Hash password as $2a$ with this cost. The caller frees *hash. ERR_PASSWORD_LONG, ERR_PASSWORD_HASH */
enum err password_hash(const char *password, int cost, char **hash);

/*
 * Compare password with a hash in $2a$, $2b$, $2x$ or $2y$ form of any cost up to PASSWORD_COST_MAX, in constant time.
 * A password longer than any that can be set costs the same and fails. ERR_UNAUTHORIZED when it is not that password or
 * the hash is none of these.
 */
enum err password_check(const char *password, const char *hash);

/* Whether hash, which password_check() took, is to be made anew: of a lower cost, or another prefix than $2a$. */
bool password_is_outdated(const char *hash, int cost);

/* The cost of a hash that password_is_hash(). */
int password_cost(const char *hash);

/* Whether hash is of a form that password_check() takes. */
bool password_is_hash(const char *hash);

/* Do the work of a password_check() at this cost and forget it: so that an unknown user costs what a known one does. */
void password_check_nobody(const char *password, int cost);

#endif
