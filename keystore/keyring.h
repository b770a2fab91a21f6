/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYRING_H
#define KEYSTORE_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/key.h"
#include "keystore/keyset.h"
#include "lib/err.h"

/*
 * A key ring: the keys of one directory, always as an immutable set that readers take without waiting (hazard slots)
 * and that a reload replaces whole.
 *
 *  - Every file whose name matches the pattern gives a key; the pattern's first group is its kid (0..2^31-1; empty,
 *    overflowing: ERR_KEY_ID). Two files of one id: whichever of them already gave the key in use stays, the other is
 *    refused; at first load both are. Both names are logged.
 *  - default_path gives kid 0.
 *  - signing_path names the key that signs; a link whose own name has no id is followed name by name, and the first
 *    name with an id decides; none: kid 0. Without signing_path the highest kid signs.
 *  - A file is opened once, from the directory's descriptor, links only as far as they stay inside the directory; only
 *    regular files, never blocking; what was checked is what is used (one buffer). Files that did not change are not
 *    read again.
 *  - A file that turns bad keeps its last good key (held) until it is gone or good again. A directory that cannot be
 *    read or is empty all at once changes no key: all are held. A signing file that vanishes or turns bad keeps signing
 *    with its last good key (held); without signing_path, one that vanishes hands over to the next highest kid.
 *  - A file that does not parse within a second of its last write may still be being written: it is looked at again
 *    before anything is said of it.
 *  - Each key accepted, rejected, removed, and each change of the signing key is one log line: file, kid, alg,
 *    thumbprint, reason. A fault that lasts is logged once, not at every poll.
 */
struct keyring;

/* Where the original services look for kid 0 (contract/useradm 3). */
#define KEYRING_DEFAULT_KEY "/etc/useradm/rsa/private.pem"

/* The algorithm of one RSA key, when it is not the ring's. */
struct keyring_alg {
    int64_t kid;
    enum key_alg alg;
};

struct keyring_config {
    const char *name;          /* "useradm": for log lines and metrics */
    const char *dir;           /* the key directory; NULL: that of signing_path */
    const char *signing_path;  /* NULL or "": the highest kid signs */
    const char *default_path;  /* kid 0, must load at first; NULL or "": private.pem in dir, then KEYRING_DEFAULT_KEY */
    const char *fallback_path; /* NULL or "": none; must load at first */
    const char *pattern;       /* file names; first group = kid */
    bool pattern_unanchored;   /* match anywhere in the name, as the originals do */
    bool strict_permissions;   /* refuse files with a mode wider than 0640 instead of warning */
    enum key_alg rsa_alg;
    const struct keyring_alg *algs;
    size_t algs_count;
    size_t keys_max; /* key files; 0: KEYRING_KEYS_MAX. From 80 % on there is a warning, beyond it they are refused */
};

#define KEYRING_KEYS_MAX 100

/*
 * Load the directory for the first time. config and what it points at are copied.
 * On an error one line has been logged that names file and reason, and nothing is left open.
 * ERR_PATTERN, ERR_PATTERN_GROUP, ERR_KEY_DIR, ERR_KEY_NONE (no signing key), or the error of a configured signing,
 * default or fallback file
 */
enum err keyring_open(const struct keyring_config *config, struct keyring **out);
void keyring_free(struct keyring **ring);

/*
 * Look at the directory again and publish a new set if anything changed. Cheap when nothing did. One caller at a time
 * works, others wait; readers never do. Returns ERR_OK also when files are refused: the set says so.
 * ERR_KEY_DIR, ERR_KEY_MODE (the directory, with strict_permissions), ERR_KEY_NONE: no key was changed, all are held
 */
enum err keyring_reload(struct keyring *ring);

/* The directory to watch. */
const char *keyring_dir(const struct keyring *ring);

/* A reader's hold on the current set. At most HAZARD_SLOTS (keystore/hazard.h) at the same time in the process. */
struct keyring_view {
    const struct keyset *set;
    void *slot;
};

/* Take the current set; it stays as it is until the release. Lock-free. */
struct keyring_view keyring_acquire(struct keyring *ring);
void keyring_release(struct keyring_view *view);

/* Sets published so far: changes when the keys do. */
uint64_t keyring_generation(const struct keyring *ring);

/* The ring's name in logs and metrics. */
const char *keyring_name(const struct keyring *ring);

/* What its looks at the directory came to. */
enum keyring_result { KEYRING_CHANGED, KEYRING_UNCHANGED, KEYRING_FAILED, KEYRING_RESULTS };
struct keyring_counts {
    int64_t reloads[KEYRING_RESULTS];
    int64_t last_success_s; /* seconds since the epoch */
};
struct keyring_counts keyring_counts(const struct keyring *ring);

#endif
