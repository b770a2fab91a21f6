/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_YAML_H
#define LIB_YAML_H

#include <jansson.h>
#include <stddef.h>

#include "lib/err.h"

/* Room for a message of yaml_parse(). */
#define YAML_WHY_SIZE 160

/*
 * Parse a YAML document (JSON is one too) to JSON values. Every scalar becomes a string; only a plain empty one,
 * ~ or null becomes null: types are the reader's business. Duplicate keys, aliases, more than one document, over 32
 * levels and over 1 MiB are refused. An empty document gives an empty object.
 *   why  receives the message with line and column
 * ERR_CONFIG
 */
enum err yaml_parse(const char *text, size_t len, char why[YAML_WHY_SIZE], json_t **out);

/*
 * The line, from 1, on which a key of a document that yaml_parse() took stands: for messages about its value.
 *   path  the keys that lead to it, NULL-terminated; the line is that of the last one
 */
size_t yaml_line(const char *text, size_t len, const char *const *path);

#endif
