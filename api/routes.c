/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/route.h"

#define M "/api/management/v1/useradm"
#define M2 "/api/management/v2/useradm"
#define I "/api/internal/v1/useradm"

/* clang-format off */
const struct route routes[] = {
    /* method  path                       surface     access   lane       json   handler */
    {"POST",   M "/auth/login",           MANAGEMENT, ANYONE,  LANE_HASH, true,  sessions_create},
    {"POST",   M "/auth/logout",          MANAGEMENT, SIGNED,  LANE_DB,   true,  sessions_delete},
    {"GET",    M "/users",                MANAGEMENT, BEARER,  LANE_DB,   false, users_list},
    {"POST",   M "/users",                MANAGEMENT, BEARER,  LANE_HASH, true,  users_create},
    {"GET",    M "/users/{id}",           MANAGEMENT, BEARER,  LANE_DB,   false, users_get},
    {"PUT",    M "/users/{id}",           MANAGEMENT, SIGNED,  LANE_HASH, true,  users_update},
    {"DELETE", M "/users/{id}",           MANAGEMENT, BEARER,  LANE_DB,   false, users_delete},
    {"PUT",    M2 "/users/me",            MANAGEMENT, SIGNED,  LANE_HASH, true,  users_update_me},

    {"GET",    M "/settings",             MANAGEMENT, BEARER,  LANE_DB,   false, settings_show},
    {"POST",   M "/settings",             MANAGEMENT, BEARER,  LANE_DB,   true,  settings_replace},
    {"GET",    M "/settings/me",          MANAGEMENT, BEARER,  LANE_DB,   false, settings_show_own},
    {"POST",   M "/settings/me",          MANAGEMENT, BEARER,  LANE_DB,   true,  settings_replace_own},
    {"GET",    M "/settings/tokens",      MANAGEMENT, BEARER,  LANE_DB,   false, tokens_list},
    {"POST",   M "/settings/tokens",      MANAGEMENT, BEARER,  LANE_DB,   true,  tokens_create},
    {"DELETE", M "/settings/tokens/{id}", MANAGEMENT, BEARER,  LANE_DB,   false, tokens_delete},

    {"GET",    M "/plans",                MANAGEMENT, BEARER,  LANE_DB,   false, plans_list},
    {"GET",    M "/plan_binding",         MANAGEMENT, BEARER,  LANE_DB,   false, plans_bound},

    {"GET",    I "/auth/verify",          INTERNAL,   CHECKED, LANE_IO,   false, sessions_verify},
    {"POST",   I "/auth/verify",          INTERNAL,   CHECKED, LANE_IO,   false, sessions_verify},
    {"POST",   I "/tenants",              INTERNAL,   ANYONE,  LANE_IO,   false, tenants_create},
    {"GET",    I "/tenants/{id}/users",   INTERNAL,   ANYONE,  LANE_DB,   false, users_list},
    {"POST",   I "/tenants/{id}/users",   INTERNAL,   ANYONE,  LANE_HASH, false, tenants_create_user},
    {"DELETE", I "/tenants/{id}/users/{userid}", INTERNAL, ANYONE, LANE_DB, false, tenants_delete_user},
    {"DELETE", I "/tokens",               INTERNAL,   ANYONE,  LANE_DB,   false, tenants_delete_tokens},
    {"GET",    I "/alive",                INTERNAL,   ANYONE,  LANE_IO,   false, health_alive},
    {"GET",    I "/health",               INTERNAL,   ANYONE,  LANE_DB,   false, health_show},
    {"GET",    "/metrics",                INTERNAL,   ANYONE,  LANE_IO,   false, health_metrics},

    {"GET",    "/.well-known/jwks.json",  PUBLIC,     ANYONE,  LANE_IO,   false, health_jwks},
    {0},
};
/* clang-format on */
