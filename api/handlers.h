/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_HANDLERS_H
#define API_HANDLERS_H

#include "api/call.h"
#include "lib/err.h"

/*
 * What the rows of routes.c call. Each reads its parameters or body, calls auth/, and makes the reply; the router turns
 * an error into one. The contract section is in the comment of each.
 */

/* sessions.c */
enum err sessions_create(struct call *c); /* POST auth/login: useradm 1.2 */
enum err sessions_delete(struct call *c); /* POST auth/logout: useradm 1.2 */
enum err sessions_verify(struct call *c); /* GET|POST auth/verify: useradm 4 */

/* users.c: useradm 1.2, 5 and 6 */
enum err users_list(struct call *c);      /* GET users, and tenants/{id}/users */
enum err users_create(struct call *c);    /* POST users */
enum err users_get(struct call *c);       /* GET users/{id}, users/me */
enum err users_update(struct call *c);    /* PUT users/{id}, users/me */
enum err users_update_me(struct call *c); /* PUT v2 users/me */
enum err users_delete(struct call *c);    /* DELETE users/{id} */

/* tenants.c: useradm 1.2, what other services ask for; nobody is authenticated */
enum err tenants_create(struct call *c);        /* POST tenants */
enum err tenants_accept(struct call *c);        /* POST tenants: deviceauth 1.4, the body is not looked at */
enum err tenants_create_user(struct call *c);   /* POST tenants/{id}/users */
enum err tenants_delete_user(struct call *c);   /* DELETE tenants/{id}/users/{userid} */
enum err tenants_delete_tokens(struct call *c); /* DELETE tokens */

/* settings.c */
enum err settings_show(struct call *c);        /* GET settings: useradm 1.2 */
enum err settings_replace(struct call *c);     /* POST settings: useradm 1.2 */
enum err settings_show_own(struct call *c);    /* GET settings/me: useradm 1.2 */
enum err settings_replace_own(struct call *c); /* POST settings/me: useradm 1.2 */

/* tokens.c: personal access tokens */
enum err tokens_create(struct call *c); /* POST settings/tokens: useradm 1.2 */
enum err tokens_list(struct call *c);   /* GET settings/tokens: useradm 1.2 */
enum err tokens_delete(struct call *c); /* DELETE settings/tokens/{id}: useradm 1.2 */

/* plans.c */
enum err plans_list(struct call *c);  /* GET plans: useradm 1.2 */
enum err plans_bound(struct call *c); /* GET plan_binding: useradm 1.2 */

/* devices.c: deviceauth 1.4 and 5; of a tenant in the path on internal routes */
enum err devices_list(struct call *c);          /* GET devices */
enum err devices_search(struct call *c);        /* POST devices/search */
enum err devices_count(struct call *c);         /* GET devices/count */
enum err devices_get(struct call *c);           /* GET devices/{id} */
enum err devices_status(struct call *c);        /* GET devices/{id}/status */
enum err devices_preauthorize(struct call *c);  /* POST devices */
enum err devices_decommission(struct call *c);  /* DELETE devices/{id} */
enum err devices_delete(struct call *c);        /* DELETE tenants/{tid}/devices/{id} */
enum err devices_update(struct call *c);        /* PATCH tenants/{tid}/devices/{id} */
enum err devices_delete_token(struct call *c);  /* DELETE tokens/{jti} */
enum err devices_delete_tokens(struct call *c); /* DELETE tokens?tenant_id=&device_id= */

/* auth_sets.c: deviceauth 5.2 and 5.3 */
enum err auth_sets_status(struct call *c);     /* GET devices/{id}/auth/{aid}/status */
enum err auth_sets_set_status(struct call *c); /* PUT devices/{id}/auth/{aid}/status */
enum err auth_sets_delete(struct call *c);     /* DELETE devices/{id}/auth/{aid} */

/* limits.c: deviceauth 5.6 */
enum err limits_show(struct call *c);    /* GET limits/{name} */
enum err limits_replace(struct call *c); /* PUT limits/{name} */
enum err limits_delete(struct call *c);  /* DELETE limits/{name} */

/* inventory.c: clients-and-gateways A.7, what of an inventory the UI's device page needs */
enum err inventory_search(struct call *c);     /* POST filters/search */
enum err inventory_attributes(struct call *c); /* GET filters/attributes */
enum err inventory_statistics(struct call *c); /* GET statistics */
enum err inventory_list(struct call *c);       /* GET devices */
enum err inventory_get(struct call *c);        /* GET devices/{id} */
enum err inventory_none(struct call *c);       /* GET groups, and saved filters: there are none */

/* enrolments.c */
enum err enrolments_create(struct call *c); /* POST auth_requests: deviceauth 2 */
enum err enrolments_verify(struct call *c); /* GET|POST tokens/verify: deviceauth 3.3 */

/* health.c */
enum err health_alive(struct call *c);   /* GET alive: useradm 1.2 */
enum err health_show(struct call *c);    /* GET health: useradm 1.2; a JSON detail for ?detail=1 */
enum err health_metrics(struct call *c); /* GET /metrics */
enum err health_jwks(struct call *c);    /* GET /.well-known/jwks.json: RFC 7517 */

#endif
