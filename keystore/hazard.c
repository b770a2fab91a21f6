/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/hazard.h"

#include <stddef.h>

struct slot {
    _Alignas(64) _Atomic(void *) object;
};

static struct slot slots[HAZARD_SLOTS];

/* Where this thread looks first: apart from the others', so that they do not share cache lines. */
static size_t first_slot(void)
{
    static _Atomic size_t threads;
    static _Thread_local size_t hint;
    if (hint == 0)
        hint = atomic_fetch_add(&threads, 2) + 2;
    return hint;
}

static struct slot *claim(void *object)
{
    for (size_t i = first_slot();; i++) {
        struct slot *s = &slots[i % HAZARD_SLOTS];
        void *nobody = NULL;
        if (atomic_compare_exchange_strong(&s->object, &nobody, object))
            return s;
    }
}

void *hazard_acquire(_Atomic(void *) *current, void **slot)
{
    void *object = atomic_load(current);
    struct slot *s = claim(object);
    /* It may have been replaced, and freed, before it was written down: only what is still current then is safe. */
    for (void *now = atomic_load(current); now != object; now = atomic_load(current)) {
        object = now;
        atomic_store(&s->object, object);
    }
    *slot = s;
    return object;
}

void hazard_release(void *slot)
{
    atomic_store(&((struct slot *)slot)->object, NULL);
}

bool hazard_is_held(const void *object)
{
    for (size_t i = 0; i < HAZARD_SLOTS; i++)
        if (atomic_load(&slots[i].object) == object)
            return true;
    return false;
}
