/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYRING_LOG_H
#define KEYSTORE_KEYRING_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "keystore/keytable.h"
#include "lib/err.h"

/* The log lines of key rings. `ring` is the ring's name. */

/* "key refused" lines of one look at most; what is beyond is counted in one line. */
#define KEYRING_LOG_MAX 100

/* What became of the files between two looks: a line for each key accepted, refused, held or removed. */
void keyring_log_changes(const char *ring, const struct keytable *old, const struct keytable *now);

/* Another key signs from here on. */
void keyring_log_signing(const char *ring, const struct keytable *table, const struct key *key);

/* The ring cannot be opened because of file; why adds to the reason, "" for nothing. */
void keyring_log_unusable(const char *ring, const char *file, enum err reason, const char *why);

/* A reload changed no key because of reason; ERR_OK: that is over. */
void keyring_log_fault(const char *ring, const char *dir, enum err reason);

void keyring_log_loose_dir(const char *ring, const char *dir);
void keyring_log_limit(const char *ring, size_t files, size_t limit);

#endif
