/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_FLEET_MODEL_H
#define TESTS_FLEET_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/device.h"
#include "lib/err.h"
#include "lib/rand.h"

/*
 * What contract/deviceauth 2.7, 3.4, 5 and design 8 say that happens to devices, as a few arrays in memory: what the
 * real thing is compared with. Written from those pages, not from the code.
 */
enum { FLEET_MODEL_TENANTS = 2, FLEET_MODEL_IDENTITIES = 3, FLEET_MODEL_KEYS = 3 };

struct fleet_model_set {
    char id[RAND_UUID_SIZE]; /* "" until the real one is known */
    int key;
    enum device_status status;
    bool has_token;
    int64_t expires_s; /* of what is remembered of its tokens, which outlives them */
    int64_t since_s;   /* those issued earlier were revoked: they stay dead */
};

struct fleet_model_device {
    bool is_there;
    char id[RAND_UUID_SIZE]; /* "" until the real one is known */
    enum device_status status;
    bool is_decommissioning;
    bool is_provisioned;
    struct fleet_model_set set[FLEET_MODEL_KEYS]; /* in order of creation */
    int sets;
};

struct fleet_model {
    struct fleet_model_device device[FLEET_MODEL_TENANTS][FLEET_MODEL_IDENTITIES];
    int64_t limit[FLEET_MODEL_TENANTS]; /* DEVICE_LIMIT_NONE: none */
    bool has_engine;                    /* there is a workflow engine, so decommissioning only marks */
    int64_t now_s;
    int64_t lifetime_s; /* of tokens */
    size_t calls;       /* of the workflow engine that were caused (5.5) */
};

/* The same events as in auth/device_enrol.h and auth/device_admit.h, with the same results. */
enum err fleet_model_ask(struct fleet_model *model, int tenant, int identity, int key);
enum err fleet_model_preauthorize(struct fleet_model *model, int tenant, int identity, int key, bool force);
enum err fleet_model_set_status(struct fleet_model *model, int tenant, const char *device_id, const char *set_id,
                                enum device_status status);
enum err fleet_model_delete_set(struct fleet_model *model, int tenant, const char *device_id, const char *set_id);
enum err fleet_model_decommission(struct fleet_model *model, int tenant, const char *device_id);
enum err fleet_model_delete(struct fleet_model *model, int tenant, const char *device_id);
enum err fleet_model_set_provisioned(struct fleet_model *model, int tenant, const char *device_id, bool is_provisioned);
enum err fleet_model_revoke(struct fleet_model *model, int tenant, const char *jti);

/* device_id NULL: those of the whole tenant. */
void fleet_model_revoke_all(struct fleet_model *model, int tenant, const char *device_id);

/* Forget tokens that expired; how many. */
int fleet_model_sweep(struct fleet_model *model);

/* Whether a token issued then, with this jti, is good. */
bool fleet_model_is_alive(struct fleet_model *model, int tenant, const char *jti, int64_t issued_s);

#endif
