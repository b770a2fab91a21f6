/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/inventory.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/attribute.h"
#include "auth/iddata.h"
#include "auth/inventory_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/sat.h"

/* Rows read at once. */
#define PART 1000

/* A device that all filters hold for. */
struct match {
    struct device *device;
    char *key[INVENTORY_SORTS_MAX]; /* what it is sorted by */
};

/* One search under way. */
struct run {
    struct db *db;
    const char *tenant;
    const struct inventory_search *search;
    bool status[DEVICE_STATUSES]; /* which pass the filters */
    int64_t count[DEVICE_STATUSES];
    bool is_plain; /* nothing but the status is asked for, so that the counts are the total */
    struct inventory_db_source *source;
    size_t sources;
    bool is_ordered; /* the source gives the order of the first sort */
    struct match *match;
    size_t n;
    int64_t looked; /* at so many */
    bool is_cut;    /* there is more behind what was looked at */
};

static void run_release(struct run *run)
{
    for (size_t i = 0; i < run->n; i++) {
        device_free(&run->match[i].device);
        for (size_t k = 0; k < INVENTORY_SORTS_MAX; k++)
            mem_free(&run->match[i].key[k]);
    }
    free(run->match);
    free(run->source);
}

static bool is_attribute(enum inventory_scope scope, const char *name, enum inventory_scope wanted, const char *called)
{
    return scope == wanted && strcmp(name, called) == 0;
}

static bool is_status(const struct inventory_filter *filter)
{
    return is_attribute(filter->scope, filter->name, INVENTORY_IDENTITY, "status");
}

static bool is_id(const struct inventory_filter *filter)
{
    return is_attribute(filter->scope, filter->name, INVENTORY_IDENTITY, "id");
}

/* The time that a name of the system's scope means; NULL: none. */
static const int64_t *time_of(const struct device *device, const char *name)
{
    if (strcmp(name, "created_ts") == 0)
        return &device->created_ms;
    if (strcmp(name, "updated_ts") == 0)
        return &device->updated_ms;
    return strcmp(name, "check_in_time") == 0 && device->seen_ms != 0 ? &device->seen_ms : NULL;
}

static bool is_known(enum inventory_scope scope, const char *name)
{
    static const struct device seen = {.seen_ms = 1};
    return scope == INVENTORY_IDENTITY || (scope == INVENTORY_SYSTEM && time_of(&seen, name) != NULL);
}

/* A device under test; what it says of itself is read when it is asked for. */
struct candidate {
    const struct device *device;
    json_t *identity;
};

static char *member_of(struct candidate *candidate, const char *name)
{
    if (candidate->identity == NULL)
        candidate->identity = iddata_json(candidate->device->id_data);
    const char *key;
    json_t *value;
    const json_t *found = json_object_get(candidate->identity, name);
    if (found != NULL)
        return attribute_value(found);
    if (strlen(name) <= ATTRIBUTE_PLAIN_MAX)
        return NULL;
    json_object_foreach(candidate->identity, key, value)
    {
        AUTO(mem_free) char *own = attribute_key(key, strlen(key));
        if (strcmp(own, name) == 0)
            return attribute_value(value);
    }
    return NULL;
}

/* The attribute's value as a text that the caller frees, or NULL. */
static char *value_of(struct candidate *candidate, enum inventory_scope scope, const char *name)
{
    const struct device *device = candidate->device;
    if (is_attribute(scope, name, INVENTORY_IDENTITY, "status"))
        return mem_strdup(device_status_name(device->status));
    if (is_attribute(scope, name, INVENTORY_IDENTITY, "id"))
        return mem_strdup(device->id);
    if (scope == INVENTORY_IDENTITY)
        return member_of(candidate, name);
    const int64_t *ms = scope == INVENTORY_SYSTEM ? time_of(device, name) : NULL;
    if (ms == NULL)
        return NULL;
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(*ms, text);
    return mem_strdup(text);
}

/* The same so that texts sort as what they mean. */
static char *sort_key(struct candidate *candidate, const struct inventory_sort *sort)
{
    const int64_t *ms = sort->scope == INVENTORY_SYSTEM ? time_of(candidate->device, sort->name) : NULL;
    if (ms != NULL)
        return mem_printf("%020" PRId64, *ms);
    char *value = value_of(candidate, sort->scope, sort->name);
    return value != NULL ? value : mem_strdup("");
}

static bool is_one_of(const struct inventory_filter *filter, const char *value)
{
    for (size_t i = 0; i < filter->values; i++)
        if (strcmp(filter->value[i], value) == 0)
            return true;
    return false;
}

/* value is NULL when the device has no such attribute. */
static bool holds(const struct inventory_filter *filter, const char *value)
{
    switch (filter->test) {
    case INVENTORY_IN:
        return value != NULL && is_one_of(filter, value);
    case INVENTORY_NOT_IN:
        return value == NULL || !is_one_of(filter, value);
    case INVENTORY_EXISTS:
        return value != NULL;
    case INVENTORY_ABSENT:
        return value == NULL;
    }
    return false;
}

static bool matches(const struct run *run, struct candidate *candidate)
{
    for (size_t i = 0; i < run->search->filters; i++) {
        const struct inventory_filter *filter = &run->search->filter[i];
        AUTO(mem_free) char *value = value_of(candidate, filter->scope, filter->name);
        if (!holds(filter, value))
            return false;
    }
    return true;
}

/* Which statuses pass, and whether anything else is asked. False: nothing can match. */
static bool look_at_filters(struct run *run)
{
    bool is_possible = true;
    run->is_plain = true;
    for (size_t s = 0; s < DEVICE_STATUSES; s++)
        run->status[s] = true;
    for (size_t i = 0; i < run->search->filters; i++) {
        const struct inventory_filter *filter = &run->search->filter[i];
        if (!is_known(filter->scope, filter->name)) {
            is_possible = is_possible && holds(filter, NULL);
            continue;
        }
        run->is_plain = run->is_plain && is_status(filter);
        for (size_t s = 0; is_status(filter) && s < DEVICE_STATUSES; s++)
            run->status[s] = run->status[s] && holds(filter, device_status_name((enum device_status)s));
    }
    return is_possible;
}

static enum err count_statuses(struct run *run)
{
    for (size_t s = 0; s < DEVICE_STATUSES; s++) {
        struct device_filter one = {0};
        one.status[s] = run->status[s];
        TRY(device_count(run->db, run->tenant, &one, &run->count[s]));
    }
    return ERR_OK;
}

static int64_t counted(const struct run *run)
{
    int64_t sum = 0;
    for (size_t s = 0; s < DEVICE_STATUSES; s++)
        sum += run->count[s];
    return sum;
}

static void add_source(struct run *run, enum inventory_db_kind kind, const char *first, const char *second)
{
    run->source = mem_resize(run->source, run->sources + 1, sizeof *run->source);
    run->source[run->sources++] = (struct inventory_db_source){.kind = kind, .key = {first, second}};
}

/* A source for each value; a value that comes twice is looked up once. */
static void add_values(struct run *run, const struct inventory_filter *filter)
{
    for (size_t i = 0; i < filter->values; i++) {
        const struct inventory_filter before = {.value = filter->value, .values = i};
        if (is_one_of(&before, filter->value[i]))
            continue;
        if (is_id(filter))
            add_source(run, INVENTORY_DB_ID, filter->value[i], NULL);
        else
            add_source(run, INVENTORY_DB_VALUE, filter->name, filter->value[i]);
    }
}

/* The filter that names what to look up: ids before values. */
static const struct inventory_filter *best_filter(const struct inventory_search *search)
{
    const struct inventory_filter *best = NULL;
    for (size_t i = 0; i < search->filters; i++) {
        const struct inventory_filter *filter = &search->filter[i];
        if (filter->scope != INVENTORY_IDENTITY || filter->test != INVENTORY_IN || is_status(filter))
            continue;
        if (best == NULL || is_id(filter))
            best = filter;
    }
    return best;
}

/* In the alphabet's order of their names, as the database sorts. */
static void add_statuses(struct run *run)
{
    static const enum device_status order[] = {DEVICE_ACCEPTED, DEVICE_NOAUTH, DEVICE_PENDING, DEVICE_PREAUTHORIZED,
                                               DEVICE_REJECTED};
    for (size_t i = 0; i < DEVICE_STATUSES; i++)
        if (run->count[order[i]] > 0)
            add_source(run, INVENTORY_DB_STATUS, device_status_name(order[i]), NULL);
    run->is_ordered = run->search->sorts == 0;
}

/* The index that has the order of sort. False: none has. */
static bool add_order(struct run *run, const struct inventory_sort *sort)
{
    bool down = sort->is_descending;
    if (is_attribute(sort->scope, sort->name, INVENTORY_SYSTEM, "created_ts"))
        add_source(run, down ? INVENTORY_DB_CREATED_DOWN : INVENTORY_DB_CREATED, NULL, NULL);
    else if (is_attribute(sort->scope, sort->name, INVENTORY_SYSTEM, "updated_ts"))
        add_source(run, down ? INVENTORY_DB_UPDATED_DOWN : INVENTORY_DB_UPDATED, NULL, NULL);
    else if (sort->scope == INVENTORY_IDENTITY && strcmp(sort->name, "status") != 0 && strcmp(sort->name, "id") != 0)
        add_source(run, down ? INVENTORY_DB_NAME_DOWN : INVENTORY_DB_NAME, sort->name, NULL);
    else
        return false;
    return run->is_ordered = true;
}

static enum err choose_sources(struct run *run)
{
    const struct inventory_search *search = run->search;
    const struct inventory_filter *best = best_filter(search);
    if (best != NULL) {
        add_values(run, best);
        return ERR_OK;
    }
    TRY(count_statuses(run));
    bool is_much = counted(run) > INVENTORY_SCAN_MAX;
    if (search->sorts == 0 || !is_much || !add_order(run, &search->sort[0]))
        add_statuses(run);
    return ERR_OK;
}

static void take(struct run *run, struct device **device)
{
    AUTO(json_release) json_t *none = NULL;
    struct candidate candidate = {.device = *device, .identity = none};
    if (matches(run, &candidate)) {
        run->match = mem_resize(run->match, run->n + 1, sizeof *run->match);
        struct match *match = &run->match[run->n++];
        *match = (struct match){0};
        for (size_t k = 0; k < run->search->sorts; k++)
            match->key[k] = sort_key(&candidate, &run->search->sort[k]);
        match->device = MOVE(*device);
    }
    json_release(&candidate.identity);
}

/* Whether what was found is all that the answer needs. */
static bool is_enough(const struct run *run)
{
    int64_t last = sat_add(run->search->skip, run->search->limit);
    return run->looked >= INVENTORY_SCAN_MAX || (run->is_plain && run->is_ordered && (int64_t)run->n >= last);
}

static enum err read_source(struct run *run, const struct inventory_db_source *source)
{
    for (int64_t skip = 0;; skip += PART) {
        struct device **list = NULL;
        size_t n = 0;
        run->is_cut = is_enough(run);
        if (run->is_cut)
            return ERR_OK;
        TRY(inventory_db_read(run->db, run->tenant, source, skip, PART, &list, &n));
        for (size_t i = 0; i < n; i++)
            take(run, &list[i]);
        device_list_free(&list, n);
        run->looked += (int64_t)n;
        if (n < PART)
            return ERR_OK;
    }
}

/* By the sorts, then status and id. */
static int compare(const void *a, const void *b, void *arg)
{
    const struct match *x = a;
    const struct match *y = b;
    const struct inventory_search *search = arg;
    for (size_t k = 0; k < search->sorts; k++) {
        int order = strcmp(x->key[k], y->key[k]);
        if (order != 0)
            return search->sort[k].is_descending ? -order : order;
    }
    int order = strcmp(device_status_name(x->device->status), device_status_name(y->device->status));
    return order != 0 ? order : strcmp(x->device->id, y->device->id);
}

static void take_page(struct run *run, struct inventory_page *out)
{
    const struct inventory_search *search = run->search;
    struct inventory_page page = {.total = run->is_plain ? counted(run) : (int64_t)run->n};
    size_t room = (size_t)search->limit < run->n ? (size_t)search->limit : run->n;
    page.device = mem_calloc(room, sizeof(struct device *));
    for (size_t i = 0; i < run->n && page.n < room; i++)
        if ((int64_t)i >= search->skip)
            page.device[page.n++] = MOVE(run->match[i].device);
    *out = page;
}

static enum err scan(struct run *run, struct inventory_page *out)
{
    TRY(choose_sources(run));
    for (size_t i = 0; i < run->sources; i++)
        TRY(read_source(run, &run->source[i]));
    if (run->n > 1 && (!run->is_cut || !run->is_ordered))
        qsort_r(run->match, run->n, sizeof *run->match, compare, (void *)(uintptr_t)run->search);
    take_page(run, out);
    return ERR_OK;
}

static void append(struct inventory_page *page, struct device **list, size_t n)
{
    page->device = mem_resize(page->device, page->n + n, sizeof(struct device *));
    for (size_t i = 0; i < n; i++)
        page->device[page->n++] = list[i];
    free(list);
}

/* What the index has as it is: a page costs what it shows, and the steps over the ones before it. */
static enum err turn_page(struct run *run, struct inventory_page *out)
{
    int64_t skip = run->search->skip;
    AUTO(inventory_page_release) struct inventory_page page = {0};
    TRY(count_statuses(run));
    page.total = counted(run);
    add_statuses(run);
    for (size_t i = 0; i < run->sources && (int64_t)page.n < run->search->limit; i++) {
        enum device_status status = DEVICE_NOAUTH;
        (void)device_status_parse(run->source[i].key[0], &status);
        int64_t here = run->count[status];
        if (skip >= here) {
            skip -= here;
            continue;
        }
        struct device **list = NULL;
        size_t n = 0;
        int64_t limit = run->search->limit - (int64_t)page.n;
        TRY(inventory_db_read(run->db, run->tenant, &run->source[i], skip, limit, &list, &n));
        append(&page, list, n);
        skip = 0;
    }
    *out = page;
    page = (struct inventory_page){0};
    return ERR_OK;
}

void inventory_search_release(struct inventory_search *search)
{
    for (size_t i = 0; i < search->filters; i++) {
        struct inventory_filter *filter = &search->filter[i];
        for (size_t v = 0; v < filter->values; v++)
            mem_free(&filter->value[v]);
        free(filter->value);
        mem_free(&filter->name);
    }
    for (size_t i = 0; i < search->sorts; i++)
        mem_free(&search->sort[i].name);
    *search = (struct inventory_search){0};
}

void inventory_page_release(struct inventory_page *page)
{
    device_list_free(&page->device, page->n);
    *page = (struct inventory_page){0};
}

enum err inventory_find(struct db *db, const char *tenant, const struct inventory_search *search,
                        struct inventory_page *out)
{
    AUTO(run_release) struct run run = {.db = db, .tenant = tenant, .search = search};
    if (!look_at_filters(&run)) {
        *out = (struct inventory_page){0};
        return ERR_OK;
    }
    return run.is_plain && search->sorts == 0 ? turn_page(&run, out) : scan(&run, out);
}

enum err inventory_names(struct db *db, const char *tenant, struct inventory_name **out, size_t *n)
{
    struct inventory_name *list = NULL;
    size_t count = 0;
    enum err e = ERR_OK;
    while (e == ERR_OK && count < INVENTORY_NAMES_MAX) {
        struct inventory_name next = {0};
        e = inventory_db_next_name(db, tenant, count > 0 ? list[count - 1].name : "", &next.name);
        if (e != ERR_OK)
            break;
        list = mem_resize(list, count + 1, sizeof *list);
        list[count++] = next;
        e = inventory_db_count_name(db, tenant, next.name, INVENTORY_COUNT_MAX, &list[count - 1].count);
    }
    if (e != ERR_OK && e != ERR_NOT_FOUND) {
        inventory_names_free(&list, count);
        return e;
    }
    *out = list;
    *n = count;
    return ERR_OK;
}

void inventory_names_free(struct inventory_name **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(&(*names)[i].name);
    free(*names);
    *names = NULL;
}
