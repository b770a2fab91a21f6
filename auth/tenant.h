/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_TENANT_H
#define AUTH_TENANT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/*
 * Whose devices they are, where a service (tenantadm) knows tenants by their tokens: a device brings one, and the
 * service says which tenant it stands for (contract/deviceauth 2.8).
 */
struct tenant_service;

struct tenant_config {
    const char *addr;          /* "http://host:port/"; copied */
    const char *default_token; /* for devices that bring none, or one that is refused; "" for none; copied */
    int64_t timeout_ms;        /* of one question */
};

struct tenant_service *tenant_service_new(const struct tenant_config *config);
void tenant_service_free(struct tenant_service **service);

/* What the service says, for the claims of tokens. */
struct tenant {
    char *id;
    char *plan;     /* "" when it says none */
    json_t *addons; /* an array of {"name", "enabled"} */
    bool is_trial;
};

void tenant_release(struct tenant *tenant);

/* Room for the client's text of an error. */
#define TENANT_WHY_SIZE 256

/*
 * Ask which tenant token stands for. Blocks, but while the service lets questions wait until their time-out, only one
 * of them at a time; all others fail at once. The caller releases the tenant.
 *   token       "": the device brought none
 *   request_id  of the HTTP request
 *   why         receives the client's text
 * ERR_INVALID: the token has characters that none has, or is too long. ERR_TENANT: there is none, or it is refused.
 * ERR_TENANT_SERVICE: the service does not answer as it should, which is logged when it begins and when it ends
 */
enum err tenant_find(struct tenant_service *service, const char *token, const char *request_id,
                     char why[TENANT_WHY_SIZE], struct tenant *out);

#endif
