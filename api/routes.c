/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/route.h"

#define M "/api/management/v1/useradm"
#define M2 "/api/management/v2/useradm"
#define I "/api/internal/v1/useradm"
#define D "/api/devices/v1/authentication"
#define ID "/api/internal/v1/devauth"

/* clang-format off */
const struct route routes[] = {
    /* method  path                              family    surface     access   lane       json   handler */
    {"POST",   M "/auth/login",                  PEOPLE,   MANAGEMENT, ANYONE,  LANE_HASH, true,  sessions_create},
    {"POST",   M "/auth/logout",                 PEOPLE,   MANAGEMENT, SIGNED,  LANE_DB,   true,  sessions_delete},
    {"GET",    M "/users",                       PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, users_list},
    {"POST",   M "/users",                       PEOPLE,   MANAGEMENT, BEARER,  LANE_HASH, true,  users_create},
    {"GET",    M "/users/{id}",                  PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, users_get},
    {"PUT",    M "/users/{id}",                  PEOPLE,   MANAGEMENT, SIGNED,  LANE_HASH, true,  users_update},
    {"DELETE", M "/users/{id}",                  PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, users_delete},
    {"PUT",    M2 "/users/me",                   PEOPLE,   MANAGEMENT, SIGNED,  LANE_HASH, true,  users_update_me},

    {"GET",    M "/settings",                    PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, settings_show},
    {"POST",   M "/settings",                    PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   true,  settings_replace},
    {"GET",    M "/settings/me",                 PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, settings_show_own},
    {"POST",   M "/settings/me",                 PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   true,  settings_replace_own},
    {"GET",    M "/settings/tokens",             PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, tokens_list},
    {"POST",   M "/settings/tokens",             PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   true,  tokens_create},
    {"DELETE", M "/settings/tokens/{id}",        PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, tokens_delete},

    {"GET",    M "/plans",                       PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, plans_list},
    {"GET",    M "/plan_binding",                PEOPLE,   MANAGEMENT, BEARER,  LANE_DB,   false, plans_bound},

    {"GET",    I "/auth/verify",                 PEOPLE,   INTERNAL,   CHECKED, LANE_IO,   false, sessions_verify},
    {"POST",   I "/auth/verify",                 PEOPLE,   INTERNAL,   CHECKED, LANE_IO,   false, sessions_verify},
    {"POST",   I "/tenants",                     PEOPLE,   INTERNAL,   ANYONE,  LANE_IO,   false, tenants_create},
    {"GET",    I "/tenants/{id}/users",          PEOPLE,   INTERNAL,   ANYONE,  LANE_DB,   false, users_list},
    {"POST",   I "/tenants/{id}/users",          PEOPLE,   INTERNAL,   ANYONE,  LANE_HASH, false, tenants_create_user},
    {"DELETE", I "/tenants/{id}/users/{userid}", PEOPLE,   INTERNAL,   ANYONE,  LANE_DB,   false, tenants_delete_user},
    {"DELETE", I "/tokens",                      PEOPLE,   INTERNAL,   ANYONE,  LANE_DB,   false, tenants_delete_tokens},
    {"GET",    I "/alive",                       PEOPLE,   INTERNAL,   ANYONE,  LANE_IO,   false, health_alive},
    {"GET",    I "/health",                      PEOPLE,   INTERNAL,   ANYONE,  LANE_DB,   false, health_show},

    {"POST",   D "/auth_requests",               DEVICES,  MANAGEMENT, ANYONE,  LANE_DB,   true,  enrolments_create},
    {"GET",    ID "/tokens/verify",              DEVICES,  INTERNAL,   DEVICE,  LANE_IO,   false, enrolments_verify},
    {"POST",   ID "/tokens/verify",              DEVICES,  INTERNAL,   DEVICE,  LANE_IO,   false, enrolments_verify},

    {"GET",    "/metrics",                       EVERYONE, INTERNAL,   ANYONE,  LANE_IO,   false, health_metrics},

    {"GET",    "/.well-known/jwks.json",         EVERYONE, PUBLIC,     ANYONE,  LANE_IO,   false, health_jwks},
    {0},
};
/* clang-format on */
