/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TORTURE_FAULT_H
#define TESTS_TORTURE_FAULT_H

#include <stdbool.h>

/*
 * The n-th call fails: calls into storage engines and OpenSSL are wrapped at link time (calls.h), file and socket
 * calls and malloc() are interposed for the whole program, so those inside of libraries fail too.
 *
 * What the program itself allocates is of a kind of its own, as it ends when there is no memory (lib/mem.h).
 */
enum fault_kind { FAULT_STORAGE, FAULT_OPENSSL, FAULT_FILE, FAULT_MALLOC, FAULT_OWN_MALLOC, FAULT_KINDS };

const char *fault_kind_name(enum fault_kind kind);

/*
 * Count calls of this kind, by any thread, from now on, and let some fail.
 *   first  the first that fails, from 1 on; 0: none
 *   run    how many fail in a row
 */
void fault_begin(enum fault_kind kind, long first, long run);

/* No more. How many calls of the kind there were. */
long fault_end(void);

/* The name of the function that failed first since fault_begin(), or NULL. */
const char *fault_name(void);

/* Whether malloc() can be made to fail in this build: not under TSan and valgrind, which have their own. */
bool fault_has_malloc(void);

/* The process is about to end in the middle of something: what it holds is no leak. */
void fault_forgive_leaks(void);

#endif
