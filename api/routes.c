/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/route.h"

#define M "/api/management/v1/useradm"
#define M2 "/api/management/v2/useradm"
#define I "/api/internal/v1/useradm"
#define D "/api/devices/v1/authentication"
#define DM "/api/management/v2/devauth"
#define V "/api/management/v1/inventory"
#define V2 "/api/management/v2/inventory"
#define ID "/api/internal/v1/devauth"

/* clang-format off */
const struct route routes[] = {
    /* method  path                                     family   surface     access   lane       handler */
    {"POST",   M "/auth/login",                         PEOPLE,  MANAGEMENT, ANYONE,  LANE_HASH, sessions_create},
    {"POST",   M "/auth/logout",                        PEOPLE,  MANAGEMENT, SIGNED,  LANE_DB,   sessions_delete},
    {"GET",    M "/users",                              PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   users_list},
    {"POST",   M "/users",                              PEOPLE,  MANAGEMENT, BEARER,  LANE_HASH, users_create},
    {"GET",    M "/users/{id}",                         PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   users_get},
    {"PUT",    M "/users/{id}",                         PEOPLE,  MANAGEMENT, SIGNED,  LANE_HASH, users_update},
    {"DELETE", M "/users/{id}",                         PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   users_delete},
    {"PUT",    M2 "/users/me",                          PEOPLE,  MANAGEMENT, SIGNED,  LANE_HASH, users_update_me},

    {"GET",    M "/settings",                           PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   settings_show},
    {"POST",   M "/settings",                           PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   settings_replace},
    {"GET",    M "/settings/me",                        PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   settings_show_own},
    {"POST",   M "/settings/me",                        PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   settings_replace_own},
    {"GET",    M "/settings/tokens",                    PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   tokens_list},
    {"POST",   M "/settings/tokens",                    PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   tokens_create},
    {"DELETE", M "/settings/tokens/{id}",               PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   tokens_delete},

    {"GET",    M "/plans",                              PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   plans_list},
    {"GET",    M "/plan_binding",                       PEOPLE,  MANAGEMENT, BEARER,  LANE_DB,   plans_bound},

    {"GET",    I "/auth/verify",                        PEOPLE,  INTERNAL,   CHECKED, LANE_IO,   sessions_verify},
    {"POST",   I "/auth/verify",                        PEOPLE,  INTERNAL,   CHECKED, LANE_IO,   sessions_verify},
    {"POST",   I "/tenants",                            PEOPLE,  INTERNAL,   ANYONE,  LANE_IO,   tenants_create},
    {"GET",    I "/tenants/{id}/users",                 PEOPLE,  INTERNAL,   ANYONE,  LANE_DB,   users_list},
    {"POST",   I "/tenants/{id}/users",                 PEOPLE,  INTERNAL,   ANYONE,  LANE_HASH, tenants_create_user},
    {"DELETE", I "/tenants/{id}/users/{userid}",        PEOPLE,  INTERNAL,   ANYONE,  LANE_DB,   tenants_delete_user},
    {"DELETE", I "/tokens",                             PEOPLE,  INTERNAL,   ANYONE,  LANE_DB,   tenants_delete_tokens},
    {"GET",    I "/alive",                              PEOPLE,  INTERNAL,   ANYONE,  LANE_IO,   health_alive},
    {"GET",    I "/health",                             PEOPLE,  INTERNAL,   ANYONE,  LANE_DB,   health_show},

    {"POST",   D "/auth_requests",                      DEVICES, MANAGEMENT, ANYONE,  LANE_IO,   enrolments_create},

    {"GET",    DM "/devices",                           DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_list},
    {"POST",   DM "/devices",                           DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_preauthorize},
    {"POST",   DM "/devices/search",                    DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_search},
    {"GET",    DM "/devices/count",                     DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_count},
    {"GET",    DM "/devices/{id}",                      DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_get},
    {"DELETE", DM "/devices/{id}",                      DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_decommission},
    {"DELETE", DM "/devices/{id}/auth/{aid}",           DEVICES, MANAGEMENT, BEARER,  LANE_DB,   auth_sets_delete},
    {"GET",    DM "/devices/{id}/auth/{aid}/status",    DEVICES, MANAGEMENT, BEARER,  LANE_DB,   auth_sets_status},
    {"PUT",    DM "/devices/{id}/auth/{aid}/status",    DEVICES, MANAGEMENT, BEARER,  LANE_DB,   auth_sets_set_status},
    {"DELETE", DM "/tokens/{jti}",                      DEVICES, MANAGEMENT, BEARER,  LANE_DB,   devices_delete_token},
    {"GET",    DM "/limits/{name}",                     DEVICES, MANAGEMENT, BEARER,  LANE_DB,   limits_show},

    {"POST",   V2 "/filters/search",                    VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_search},
    {"GET",    V2 "/filters/attributes",                VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_attributes},
    {"GET",    V2 "/filters",                           VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_none},
    {"GET",    V2 "/statistics",                        VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_statistics},
    {"GET",    V "/groups",                             VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_none},
    {"GET",    V "/devices",                            VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_list},
    {"GET",    V "/devices/{id}",                       VIEW,    MANAGEMENT, BEARER,  LANE_DB,   inventory_get},

    {"GET",    ID "/tokens/verify",                     DEVICES, INTERNAL,   DEVICE,  LANE_IO,   enrolments_verify},
    {"POST",   ID "/tokens/verify",                     DEVICES, INTERNAL,   DEVICE,  LANE_IO,   enrolments_verify},
    {"DELETE", ID "/tokens",                            DEVICES, INTERNAL,   ANYONE,  LANE_DB,   devices_delete_tokens},
    {"GET",    ID "/tenant/{tid}/limits/{name}",        DEVICES, INTERNAL,   ANYONE,  LANE_DB,   limits_show},
    {"PUT",    ID "/tenant/{tid}/limits/{name}",        DEVICES, INTERNAL,   ANYONE,  LANE_DB,   limits_replace},
    {"DELETE", ID "/tenant/{tid}/limits/{name}",        DEVICES, INTERNAL,   ANYONE,  LANE_DB,   limits_delete},
    {"POST",   ID "/tenants",                           DEVICES, INTERNAL,   ANYONE,  LANE_IO,   tenants_accept},
    {"GET",    ID "/tenants/{tid}/devices",             DEVICES, INTERNAL,   ANYONE,  LANE_DB,   devices_list},
    {"GET",    ID "/tenants/{tid}/devices/count",       DEVICES, INTERNAL,   ANYONE,  LANE_DB,   devices_count},
    {"GET",    ID "/tenants/{tid}/devices/{id}/status", DEVICES, INTERNAL,   ANYONE,  LANE_DB,   devices_status},
    {"PATCH",  ID "/tenants/{tid}/devices/{did}",       DEVICES, INTERNAL,   ANYONE,  LANE_DB,   devices_update},
    {"DELETE", ID "/tenants/{tid}/devices/{did}",       DEVICES, INTERNAL,   ANYONE,  LANE_DB,   devices_delete},
    {"GET",    ID "/alive",                             DEVICES, INTERNAL,   ANYONE,  LANE_IO,   health_alive},
    {"GET",    ID "/health",                            DEVICES, INTERNAL,   ANYONE,  LANE_DB,   health_show},

    {"GET",    "/metrics",                              BOTH,    INTERNAL,   ANYONE,  LANE_IO,   health_metrics},

    {"GET",    "/.well-known/jwks.json",                BOTH,    PUBLIC,     ANYONE,  LANE_IO,   health_jwks},
    {0},
};
/* clang-format on */
