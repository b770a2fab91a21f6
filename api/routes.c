/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/route.h"

#define M "/api/management/v1/useradm"
#define I "/api/internal/v1/useradm"

/* clang-format off */
const struct route routes[] = {
    /* method  path                       surface     access   lane       json   handler */
    {"POST",   M "/auth/login",           MANAGEMENT, ANYONE,  LANE_HASH, true,  sessions_create},
    {"POST",   M "/auth/logout",          MANAGEMENT, SIGNED,  LANE_DB,   true,  sessions_delete},
    {"GET",    M "/users/{id}",           MANAGEMENT, BEARER,  LANE_DB,   false, users_get},

    {"GET",    M "/settings",             MANAGEMENT, BEARER,  LANE_DB,   false, settings_show},
    {"POST",   M "/settings",             MANAGEMENT, BEARER,  LANE_DB,   true,  settings_replace},
    {"GET",    M "/settings/me",          MANAGEMENT, BEARER,  LANE_DB,   false, settings_show_own},
    {"POST",   M "/settings/me",          MANAGEMENT, BEARER,  LANE_DB,   true,  settings_replace_own},

    {"GET",    I "/auth/verify",          INTERNAL,   CHECKED, LANE_IO,   false, sessions_verify},
    {"POST",   I "/auth/verify",          INTERNAL,   CHECKED, LANE_IO,   false, sessions_verify},
    {"GET",    I "/alive",                INTERNAL,   ANYONE,  LANE_IO,   false, health_alive},
    {"GET",    I "/health",               INTERNAL,   ANYONE,  LANE_DB,   false, health_show},
    {"GET",    "/metrics",                INTERNAL,   ANYONE,  LANE_IO,   false, health_metrics},

    {"GET",    "/.well-known/jwks.json",  PUBLIC,     ANYONE,  LANE_IO,   false, health_jwks},
    {0},
};
/* clang-format on */
