/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_CONFIG_TABLE_H
#define CMD_CONFIG_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* How a key's text becomes a field of struct config. */
enum config_type {
    CONFIG_TEXT,    /* char * */
    CONFIG_CHOICE,  /* char *, one of choices */
    CONFIG_ADDRESS, /* char *, "host:port" */
    CONFIG_BOOL,    /* bool */
    CONFIG_INT,     /* int64_t, min..max */
    CONFIG_LIST,    /* struct config_list: a YAML list, or text with commas */
    CONFIG_NETS,    /* struct config_list, each a network or an address */
    CONFIG_ALGS,    /* struct config_algs: a YAML map, or "7=PS256,8=RS512" */
    CONFIG_OBJECTS, /* struct config_objects: a YAML list of maps, or text with one JSON object after another */
    CONFIG_LATER,   /* no field: a key of the original services that has no effect here */
    CONFIG_STORE,   /* no field: a key for MongoDB or Redis, which mintd does not need */
};

struct config_key {
    const char *section; /* "" for the top level, "useradm", "deviceauth" */
    const char *name; /* "a.b" is b in a; with _ and in upper case behind MINTD_, USERADM_ or DEVICEAUTH_ a variable */
    size_t offset;
    enum config_type type;
    int64_t min, max;           /* of a number; min 1 of a text: not empty */
    const char *initial;        /* the default, as text */
    const char *help;           /* NULL: another name of a key that is shown already */
    const char *linked;         /* the default under the name of a service; NULL: the same */
    const char *linked_devices; /* the default under the name deviceauth, where it is not linked */
    const char *choices;        /* "text|json" */
};

/* Every key there is; a NULL name ends it. */
extern const struct config_key config_table[];

/* NULL: no such key. */
const struct config_key *config_table_find(const char *section, const char *name);

#endif
