/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_RING_H
#define TESTS_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "keystore/keyring.h"

/* A key directory and a ring over it, for tests: ring_config is changed before ring_open(). */
extern struct keyring *ring;
extern struct keyring_config ring_config;
extern const char *ring_dir;

/* Checked fixture: an empty directory, the defaults of the configuration, captured log lines; and its end. */
void ring_set_up(void);
void ring_tear_down(void);

/* The i-th key of this test as PEM: Ed25519 and P-256 in turn. From RING_RSA on, RSA-2048. */
const char *ring_pem(int i);
#define RING_PEMS 32
#define RING_RSA 24

/* Put a file into the directory by rename; it looks as if written long ago, so that a fault in it is told at once. */
void ring_put(const char *name, const char *text);

/* Make an existing file look old. */
void ring_age(const char *name);

/* Let name be a link to target, atomically. */
void ring_link(const char *target, const char *name);
void ring_remove(const char *name);

/* DIR/name, owned by the fixture. */
const char *ring_path(const char *name);

void ring_open(void);
void ring_reload(void);

/* The kid that signs; whether kid verifies, and whether with the key of this PEM. */
int64_t ring_signer(void);
bool ring_has(int64_t kid);
bool ring_is(int64_t kid, const char *pem);

/* What the set says of a file; ERR_NOT_FOUND: nothing. */
enum err ring_reason(const char *file);
bool ring_is_held(const char *file);

/* How many log lines so far contain all these words (NULL ends them). */
int ring_logged(const char *word, ...) __attribute__((sentinel));

#endif
