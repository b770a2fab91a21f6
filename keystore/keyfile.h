/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYFILE_H
#define KEYSTORE_KEYFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "lib/err.h"

/*
 * Reading one small file from a directory that others may write to. Nothing here blocks, whatever lies there: FIFOs,
 * devices, huge files, links to elsewhere are refused. What was checked is what is read: one open, one buffer.
 */
struct keyfile_dir {
    int fd;
    char *path;
};

/* ERR_KEY_DIR */
enum err keyfile_dir_open(const char *path, struct keyfile_dir *out);
void keyfile_dir_close(struct keyfile_dir *dir);

/* Whether anybody may put files there: world-writable, and not a read-only mount (as Kubernetes secrets are). */
bool keyfile_dir_is_loose(const struct keyfile_dir *dir);

/* What tells a file from a changed one. */
struct keyfile_stamp {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
    mode_t mode;
    uid_t uid;
};

/*
 * Look at the file without opening it; links are followed wherever they lead.
 * ERR_KEY_MISSING, ERR_KEY_OUTSIDE (links in a circle), ERR_KEY_UNREADABLE, ERR_KEY_NOT_FILE, ERR_KEY_FILE_SIZE
 */
enum err keyfile_stat(const struct keyfile_dir *dir, const char *name, struct keyfile_stamp *out);

/* Whether the name is there, be it a link to nowhere. */
bool keyfile_exists(const struct keyfile_dir *dir, const char *name);

bool keyfile_is_same(const struct keyfile_stamp *a, const struct keyfile_stamp *b);

/*
 * Whether more than owner and group (reading only) have access, or the owner is neither root nor this process's user.
 */
bool keyfile_is_loose(const struct keyfile_stamp *stamp);

/* Milliseconds from the last write to now_ms, and from the last change of any kind (mode, name). */
int64_t keyfile_age_ms(const struct keyfile_stamp *stamp, int64_t now_ms);
int64_t keyfile_change_age_ms(const struct keyfile_stamp *stamp, int64_t now_ms);

#define KEYFILE_DIGEST_SIZE 32

struct keyfile {
    struct keyfile_stamp stamp; /* of the file that was opened */
    char *data;
    size_t len;
    uint8_t digest[KEYFILE_DIGEST_SIZE]; /* SHA-256 of data */
};

/*
 * Open, check and read a file of at most KEY_FILE_MAX bytes. Links lead to it only inside the directory. The caller
 * gives *out to keyfile_release(), which wipes it. Errors as above; ERR_KEY_OUTSIDE also for a link that leads out
 */
enum err keyfile_read(const struct keyfile_dir *dir, const char *name, struct keyfile *out);
void keyfile_release(struct keyfile *file);

#endif
