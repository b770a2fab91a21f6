/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FLEET_FIXTURE_H
#define TESTS_FLEET_FIXTURE_H

#include "auth/device.h"
#include "auth/fleet.h"
#include "keystore/keyring.h"
#include "tests/engine.h"

/* A fleet with a database and a key of its own. */
struct fleet_fixture {
    struct fleet fleet;
    struct keyring *ring;
    json_t *addons;
    struct engine *engine; /* of workflows; NULL: there is none */
};

/* engine: which of SUPPORT_ENGINES; lifetime_s: of tokens */
void fleet_fixture_init(struct fleet_fixture *f, int engine, int64_t lifetime_s);
void fleet_fixture_release(struct fleet_fixture *f);

/* A workflow engine that takes everything and remembers no call of the one before. */
void fleet_fixture_engine(struct fleet_fixture *f);

/* The texts stand for their hashes, too. */
struct device_identity fleet_fixture_identity(const char *tenant, const char *id_data, const char *key);

/* What the issuer says of a token. */
enum err fleet_fixture_alive(const struct fleet_fixture *f, const char *token);

#endif
