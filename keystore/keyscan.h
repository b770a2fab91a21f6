/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYSCAN_H
#define KEYSTORE_KEYSCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "keystore/keyname.h"
#include "keystore/keyring.h"
#include "keystore/keytable.h"
#include "lib/err.h"
#include "lib/match.h"

/* One look at a key directory. */
struct keyscan {
    const struct keyring_config *config;
    const struct match *pattern;
    const char *dir;
    const struct keyname_target *signing; /* what signing_path names; NULL: nothing, or the highest kid signs */
    bool is_first;                        /* bad files are reported at once, however young they are */
};

/* A bad file younger than this may still be being written: what was known of it stands until the next look. */
#define KEYSCAN_GRACE_MS 1000

/*
 * A file that changed within this time before it was read may change again under an equal stamp, so it is read again.
 */
#define KEYSCAN_RACY_MS 2000

/*
 * Look at every key file and give the new table, sorted; old is what the last look gave, and files that did not change
 * since are not opened. A file that is refused keeps the key that it has in old.
 *   is_loose_dir  anybody may put files into the directory
 * ERR_KEY_DIR, ERR_KEY_MODE (strict_permissions, and the directory is loose)
 */
enum err keyscan_run(const struct keyscan *scan, const struct keytable *old, struct keytable *out, bool *is_loose_dir);

#endif
