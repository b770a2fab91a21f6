/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_CONFIG_VALUE_H
#define CMD_CONFIG_VALUE_H

#include <jansson.h>
#include <stdio.h>

#include "cmd/config.h"
#include "cmd/config_table.h"
#include "lib/err.h"

/* Room for a message of config_value_set(). */
#define CONFIG_VALUE_WHY_SIZE 256

/*
 * Put value (of yaml_parse(), or one string) into key's field, in place of what was there.
 *   why  receives what the value must be, with the value where it is no secret
 * ERR_CONFIG: the field is as it was
 */
enum err config_value_set(struct config *config, const struct config_key *key, const json_t *value,
                          char why[CONFIG_VALUE_WHY_SIZE]);

/* Note where the value of a CONFIG_OBJECTS came from: a file or the like, and the key as the operator wrote it. */
void config_value_note(struct config *config, const struct config_key *key, const char *source, const char *shown);

/* Free what key's field owns. */
void config_value_release(struct config *config, const struct config_key *key);

/* Write the field as YAML that config_value_set() takes; the passwords of a database address become ***. */
void config_value_print(const struct config *config, const struct config_key *key, FILE *out);

#endif
