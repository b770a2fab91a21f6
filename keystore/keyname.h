/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYNAME_H
#define KEYSTORE_KEYNAME_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/match.h"

/* What the names of key files say. */

/*
 * The key id in a file name: the pattern's first group, decimal digits, 0..KEY_KID_MAX; 007 is 7.
 * ERR_NOT_FOUND: the name is not that of a key file. ERR_KEY_ID: it is, but the id is none. ERR_PATTERN_LIMIT
 */
enum err keyname_kid(const struct match *pattern, const char *name, int64_t *kid);

/* The key that a path names. */
struct keyname_target {
    int64_t kid; /* 0 when no name on the way has an id */
    bool has_id;
    char *path; /* with an id: the one whose last name has it. Without: where key 0 is, beside the path followed */
};

/*
 * Read off path which key it names: when its last name has no id and it is a link, the name it points at
 * decides, and so on.
 * ERR_KEY_MISSING: it ends nowhere. ERR_KEY_OUTSIDE: too many links. ERR_KEY_ID, ERR_KEY_UNREADABLE, ERR_PATTERN_LIMIT
 */
enum err keyname_follow(const struct match *pattern, const char *path, struct keyname_target *out);
void keyname_release(struct keyname_target *target);

/* The directory of path ("." when it names none) as a new string, and its last name (borrowed). */
char *keyname_dir(const char *path);
const char *keyname_base(const char *path);

#endif
