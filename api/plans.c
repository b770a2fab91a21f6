/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/paging.h"
#include "api/service.h"
#include "auth/plan.h"
#include "lib/auto.h"
#include "lib/json.h"

enum err plans_list(struct call *c)
{
    AUTO(query_release) struct query query = {0};
    struct paging paging = {0};
    TRY(query_parse(c, &query));
    TRY(paging_parse(c, &query, &paging));
    const struct plan_list *plans = c->service->plans;
    const int64_t first = paging_offset(&paging);
    AUTO(json_release) json_t *array = json_array();
    for (int64_t i = first; i < (int64_t)plans->n && i - first < paging.per_page; i++)
        json_array_append_new(array, plan_json(&plans->plan[i]));
    return call_json(c, 200, array);
}

/* Without tenants nobody is bound to a plan, unless there is only the one. */
enum err plans_bound(struct call *c)
{
    const struct plan_list *plans = c->service->plans;
    AUTO(json_release) json_t *binding = json_object();
    json_object_set_new(binding, "plan", plan_json(plans->n == 1 ? &plans->plan[0] : NULL));
    return call_json(c, 200, binding);
}
