/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/device_print.h"

#include <stdint.h>
#include <stdio.h>

#include "auth/device_find.h"
#include "lib/clock.h"

/* The code point of a UTF-8 sequence, and behind it; identities are stored as valid UTF-8. */
static uint32_t next_char(const unsigned char **at)
{
    uint32_t c = *(*at)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    c &= more > 0 ? 0x3fU >> more : 0x7fU;
    for (; more > 0 && (**at & 0xc0) == 0x80; more--)
        c = c << 6 | (*(*at)++ & 0x3f);
    return c;
}

static const char *time_text(int64_t ms, char out[CLOCK_RFC3339_SIZE])
{
    if (ms == 0)
        return "-";
    clock_rfc3339(ms, out);
    return out;
}

/* A device on its way out has this in the place of its status. */
static const char *status_text(const struct device *device)
{
    return device->is_decommissioning ? "leaving" : device_status_name(device->status);
}

void device_print_text(const char *json)
{
    for (const unsigned char *at = (const unsigned char *)json; *at != '\0';) {
        uint32_t c = next_char(&at);
        if (c >= ' ' && c <= '~')
            putchar((int)c);
        else if (c <= 0xffff)
            printf("\\u%04x", c);
        else
            printf("\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
    }
}

void device_print_head(void)
{
    printf("%-36s  %-13s  %4s  %-24s  %s\n", "ID", "STATUS", "KEYS", "LAST SEEN", "IDENTITY");
}

void device_print_row(const struct device *device)
{
    char seen[CLOCK_RFC3339_SIZE];
    printf("%-36s  %-13s  %4zu  %-24s  ", device->id, status_text(device), device->sets,
           time_text(device->seen_ms, seen));
    device_print_text(device->id_data);
    putchar('\n');
}

static void print_set(const struct auth_set *set)
{
    char created[CLOCK_RFC3339_SIZE];
    struct device_key_name name;
    device_find_key_name(set->pubkey, &name);
    printf("%-36s  %-13s  %-24s  %-10s  %s\n", set->id, device_status_name(set->status),
           time_text(set->created_ms, created), name.kind, name.hash);
}

void device_print_all(const struct device *device)
{
    char when[CLOCK_RFC3339_SIZE];
    printf("id          %s\nidentity    ", device->id);
    device_print_text(device->id_data);
    printf("\nstatus      %s%s\n", device_status_name(device->status),
           device->is_decommissioning ? ", being decommissioned" : "");
    printf("created     %s\n", time_text(device->created_ms, when));
    printf("changed     %s\n", time_text(device->updated_ms, when));
    printf("last seen   %s\n", time_text(device->seen_ms, when));
    if (device->sets == 0)
        return;
    printf("\n%-36s  %-13s  %-24s  %-10s  %s\n", "AUTH SET", "STATUS", "FIRST ASKED", "KEY", "SHA-256 OF THE KEY");
    for (size_t i = 0; i < device->sets; i++)
        print_set(&device->set[i]);
}
