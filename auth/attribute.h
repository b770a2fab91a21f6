/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_ATTRIBUTE_H
#define AUTH_ATTRIBUTE_H

#include <jansson.h>
#include <stddef.h>

/*
 * Keys by which devices' attributes are compared, sorted and indexed. A short text is its own key; of a long one, or
 * one with U+0000 in it, the beginning and the SHA-256 are. So equal keys are equal texts, and no key is too long for
 * an index.
 */
#define ATTRIBUTE_PLAIN_MAX 128

/* The key of a text. The caller frees it. */
char *attribute_key(const char *text, size_t len);

/* The key of a value: of a string's text, or of what else it is as JSON: 5 and "5" are one. The caller frees it. */
char *attribute_value(const json_t *value);

/* Of an identity, so many members are indexed: the first by name. */
#define ATTRIBUTE_INDEXED_MAX 32

#endif
