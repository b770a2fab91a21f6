/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TORTURE_SCENE_H
#define TESTS_TORTURE_SCENE_H

#include "tests/board.h"

/*
 * A service in which much has happened: two people, of whom one has logged in twice, has a personal access token and
 * saved settings; three devices, one pending, one accepted with a token, one never heard of.
 */
enum { SCENE_IDS = 8 };

struct scene {
    struct fixture f;
    char *bearer; /* of the first login */
    char *other;  /* of the second one */
    char *pat;
    char *etag; /* of the settings */
    struct board pending;
    struct board accepted;
    struct board unknown;
    char *ids[SCENE_IDS]; /* what paths name */
};

/* Who does it, with what. */
enum scene_caller { SCENE_NOBODY, SCENE_PASSWORD, SCENE_LOGIN, SCENE_PAT, SCENE_ACCEPTED, SCENE_UNKNOWN, SCENE_DEVICE };

/* One thing that a client can do. */
struct scene_op {
    const char *name;
    int want;         /* the status that says that it was done */
    const char *says; /* NULL, or what else the answer then says */
    bool may_refuse;  /* the answer to a fault of OpenSSL may be that a token or a request is not valid */
    enum scene_caller caller;
    const char *method;
    const char *path; /* {name}: one of the ids */
    const char *body;
    bool is_best_effort; /* it may be answered so and have changed nothing */
    bool may_remain;     /* what it wrote may stay though the answer failed, as nobody loses or gains by it */
    bool is_cold;        /* done by a service that has not seen the token yet */
};

/* The last one has no name. */
extern const struct scene_op scene_ops[];

/* A scene of which nothing has happened yet. */
void scene_init(struct scene *scene, int engine);
void scene_release(struct scene *scene);

/* Forget all that happened, and let it happen again; the next call comes later. */
void scene_reset(struct scene *scene);

/* The call of an operation, to be run and freed. It borrows from the scene. */
struct call *scene_call(struct scene *scene, const struct scene_op *op);

/* Run it and give the status. Nothing that is not of the service is called. */
int scene_run(struct call *c);

void scene_call_free(struct call **c);

/* All rows without what is random, as text that the caller frees. */
char *scene_state(const struct scene *scene);

/* Whose token the service remembers, a second later, as something that the database does not say; NULL: nobody's. */
const char *scene_dishonest(struct scene *scene);

#endif
