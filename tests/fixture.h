/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FIXTURE_H
#define TESTS_FIXTURE_H

#include "api/call.h"
#include "api/router.h"
#include "api/service.h"
#include "auth/issuer.h"
#include "auth/liveness.h"
#include "keystore/keyring.h"
#include "tests/support.h"

/*
 * A whole service without sockets: a directory with an ES256 key (kid 1), a database, an issuer, the user below; for
 * devices another directory with another ES256 key of the same kid, and no workflow engine.
 */
#define FIXTURE_EMAIL "alice@example.com"
#define FIXTURE_PASSWORD "correct horse"
#define FIXTURE_BASIC "Basic YWxpY2VAZXhhbXBsZS5jb206Y29ycmVjdCBob3JzZQ=="

/* The default protection of logins, which the fixture has. */
extern const struct guard_config fixture_guard;

struct fixture {
    const char *keys; /* the key directory */
    const char *url;  /* of the database */
    struct db *db;
    struct liveness *liveness; /* not started: nobody else has the database */
    struct keyring *ring;
    struct issuer *issuer;
    struct plan_list *plans; /* the built-in one */
    struct keyring *device_ring;
    struct pubkey_cache *device_keys;
    json_t *addons;
    struct fleet fleet;
    struct service service;
    char *user_id;
};

void fixture_init(struct fixture *f, int engine);
void fixture_release(struct fixture *f);

/* Write a new key of this type as private.id.<kid>.pem and reload the ring. */
void fixture_add_key(struct fixture *f, const char *type, int kid);

/* A call to be filled in and run; method and path are borrowed. Internal paths come in on the internal listener. */
struct call *fixture_call(struct fixture *f, const char *method, const char *path);

/* Set the body and its Content-Length. */
void fixture_body(struct call *c, const char *body);

/* Run the call as the front does, both lanes in turn, and return its status. */
int fixture_run(struct call *c);

/* A reply header, or NULL. */
const char *fixture_header(const struct call *c, const char *name);

void fixture_free(struct call **c);

/* Ask as a gateway would, with this Authorization (may be NULL), and check the status. */
struct call *fixture_get(struct fixture *f, const char *path, const char *authorization, int status);

/* The same when nothing but the status matters. */
void fixture_expect(struct fixture *f, const char *path, const char *authorization, int status);

/* Log in as the user; "Bearer <token>", which the caller frees. */
char *fixture_login(struct fixture *f);

/* Sign any payload with the ring's key: "Bearer <token>", which the caller frees. */
char *fixture_forge(struct fixture *f, const char *payload);

#endif
