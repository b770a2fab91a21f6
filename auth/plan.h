/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_PLAN_H
#define AUTH_PLAN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* Plans: names for sets of features that a UI shows or hides, read once from a file (contract/useradm 6). */

enum plan_feature {
    PLAN_RBAC,
    PLAN_AUDIT_LOGS,
    PLAN_DYNAMIC_GROUPS,
    PLAN_TERMINAL,
    PLAN_FILE_TRANSFER,
    PLAN_CONFIGURATION,
    PLAN_MONITORING,
    PLAN_REPORTING,
    PLAN_FEATURES,
};

struct plan {
    char *name;
    char *display_name;
    bool has_features; /* false: the file says nothing of them */
    bool feature[PLAN_FEATURES];
};

/* Sorted by name. */
struct plan_list {
    struct plan *plan;
    size_t n;
    bool is_default; /* of plan_default(), not of a file */
};

/* Room for a message of plan_read(). */
#define PLAN_WHY_SIZE 256

/*
 * Read a plan file, "plans: {NAME: {display_name: TEXT, features: {FEATURE: BOOL}}}", as YAML or JSON by its extension.
 * A feature that is not known is ignored with a warning.
 *   why  receives the message, with line and plan
 * ERR_NOT_FOUND: there is no such file; ERR_CONFIG: it cannot be read or does not fit
 */
enum err plan_read(const char *path, char why[PLAN_WHY_SIZE], struct plan_list **out);

/* The one plan of the file that the original ships. */
struct plan_list *plan_default(void);

void plan_list_free(struct plan_list **list);

/* The wire form (contract/useradm 1.2, GET plans); of NULL, a plan without name and features. */
json_t *plan_json(const struct plan *plan);

#endif
