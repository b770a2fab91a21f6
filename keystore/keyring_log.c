/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring_log.h"

#include <stdio.h>

#include "lib/log.h"

static void line(enum log_level level, const char *msg, const char *ring, const struct keyslot *slot, const char *other)
{
    struct log_field field[8] = {LOG_STR("ring", ring), LOG_STR("file", slot->file)};
    size_t n = 2;
    if (slot->kid >= 0)
        field[n++] = LOG_INT("kid", slot->kid);
    if (slot->key != NULL) {
        field[n++] = LOG_STR("alg", key_alg_name(key_alg(slot->key)));
        field[n++] = LOG_STR("thumbprint", key_thumbprint(slot->key));
    }
    if (slot->reason != ERR_OK)
        field[n++] = LOG_STR("reason", err_text(slot->reason));
    if (other != NULL)
        field[n++] = LOG_STR("other", other);
    log_line(level, msg, field);
}

static void log_loose(const char *ring, const struct keyslot *slot)
{
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", slot->stamp.mode & 07777u);
    log_warn("key file is accessible to others", LOG_STR("ring", ring), LOG_STR("file", slot->file),
             LOG_STR("mode", mode), LOG_INT("uid", slot->stamp.uid));
}

static const char *name_of_other(const struct keytable *now, const struct keyslot *slot)
{
    if (slot->reason != ERR_KEY_DUPLICATE)
        return NULL;
    const struct keyslot *other = keytable_named(now, slot->kid, slot);
    return other == NULL ? NULL : other->file;
}

/* That the whole directory is away, or back, is one line of keyring_log_fault(). */
static bool is_told_by_fault(const struct keyslot *old, const struct keyslot *slot)
{
    bool was_away = old != NULL && old->reason == ERR_KEY_DIR && old->key == slot->key;
    return slot->reason == ERR_KEY_DIR || (was_away && slot->reason == ERR_OK);
}

static bool is_refusal(const struct keyslot *slot)
{
    return slot->reason != ERR_OK && slot->key == NULL;
}

static void log_slot(const char *ring, const struct keytable *now, const struct keyslot *old,
                     const struct keyslot *slot)
{
    bool is_new_key = slot->key != NULL && (old == NULL || old->key != slot->key);
    bool is_new_reason = old == NULL ? slot->reason != ERR_OK : slot->reason != old->reason;
    if (slot->is_loose && (old == NULL || !old->is_loose))
        log_loose(ring, slot);
    if ((!is_new_key && !is_new_reason) || is_told_by_fault(old, slot))
        return;
    if (slot->reason != ERR_OK)
        line(LOG_WARN, slot->key != NULL ? "key held" : "key refused", ring, slot, name_of_other(now, slot));
    else if (slot->key != NULL)
        line(LOG_INFO, "key accepted", ring, slot, NULL);
}

static void log_removed(const char *ring, const struct keytable *old, const struct keytable *now)
{
    for (size_t i = 0; i < old->n; i++) {
        struct keyslot gone = old->slot[i];
        const struct keyslot *slot = keytable_find(now, gone.role, gone.file);
        if (gone.key == NULL || (slot != NULL && slot->key != NULL))
            continue;
        gone.reason = ERR_OK;
        line(LOG_INFO, "key removed", ring, &gone, NULL);
    }
}

void keyring_log_changes(const char *ring, const struct keytable *old, const struct keytable *now)
{
    size_t refused = 0;
    for (size_t i = 0; i < now->n; i++) {
        const struct keyslot *slot = &now->slot[i];
        const struct keyslot *before = keytable_find(old, slot->role, slot->file);
        bool is_known = before != NULL && before->reason == slot->reason;
        if (is_refusal(slot) && !is_known && ++refused > KEYRING_LOG_MAX)
            continue;
        log_slot(ring, now, before, slot);
    }
    if (refused > KEYRING_LOG_MAX)
        log_warn("more key files refused", LOG_STR("ring", ring), LOG_INT("count", refused - KEYRING_LOG_MAX));
    log_removed(ring, old, now);
}

void keyring_log_signing(const char *ring, const struct keytable *table, const struct key *key)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->slot[i].key == key && table->slot[i].role != KEYSLOT_FALLBACK)
            line(LOG_INFO, "signing key changed", ring, &table->slot[i], NULL);
}

void keyring_log_unusable(const char *ring, const char *file, enum err reason, const char *why)
{
    const char *detail = *why == '\0' ? NULL : "detail"; /* a NULL key ends the fields */
    log_error("the key ring cannot be used", LOG_STR("ring", ring), LOG_STR("file", file),
              LOG_STR("reason", err_text(reason)), LOG_STR(detail, why));
}

void keyring_log_fault(const char *ring, const char *dir, enum err reason)
{
    if (reason == ERR_OK)
        log_info("the key directory is usable again", LOG_STR("ring", ring), LOG_STR("file", dir));
    else
        log_error("the key directory is not usable; the last good keys stay", LOG_STR("ring", ring),
                  LOG_STR("file", dir), LOG_STR("reason", err_text(reason)));
}

void keyring_log_loose_dir(const char *ring, const char *dir)
{
    log_warn("the key directory is writable by everybody", LOG_STR("ring", ring), LOG_STR("file", dir));
}

void keyring_log_limit(const char *ring, size_t files, size_t limit)
{
    log_warn("the number of key files is near or over the limit", LOG_STR("ring", ring), LOG_INT("files", files),
             LOG_INT("limit", limit));
}
