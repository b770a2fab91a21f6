/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyname.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "keystore/key.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define LINKS_MAX 16

static enum err parse_id(const char *digits, size_t len, int64_t *out)
{
    int64_t id = 0;
    for (size_t i = 0; i < len; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return ERR_KEY_ID;
        id = id * 10 + (digits[i] - '0');
        if (id > KEY_KID_MAX)
            return ERR_KEY_ID;
    }
    if (len == 0)
        return ERR_KEY_ID;
    *out = id;
    return ERR_OK;
}

/* *target: what the link at path says, NULL when it is no link. */
static enum err read_link(const char *path, char **target)
{
    char text[PATH_MAX];
    ssize_t len = readlink(path, text, sizeof text);
    if (len >= 0) {
        *target = mem_strndup(text, (size_t)len);
        return ERR_OK;
    }
    if (errno == EINVAL) {
        *target = NULL;
        return ERR_OK;
    }
    return errno == ENOENT || errno == ENOTDIR ? ERR_KEY_MISSING : ERR_KEY_UNREADABLE;
}

static char *beside(const char *path, const char *target)
{
    if (*target == '/' || strchr(path, '/') == NULL)
        return mem_strdup(target);
    AUTO(mem_free) char *dir = keyname_dir(path);
    return mem_printf("%s/%s", dir, target);
}

enum err keyname_kid(const struct match *pattern, const char *name, int64_t *kid)
{
    const char *digits;
    size_t len;
    TRY(match_first_group(pattern, name, &digits, &len));
    return parse_id(digits, len, kid);
}

enum err keyname_follow(const struct match *pattern, const char *path, struct keyname_target *out)
{
    AUTO(mem_free) char *at = mem_strdup(path);
    AUTO(mem_free) char *sibling = mem_strdup(path); /* the last name of the chain before it leaves the directory */
    bool is_beside = true;
    for (int i = 0; i <= LINKS_MAX; i++) {
        int64_t kid = 0;
        enum err e = keyname_kid(pattern, keyname_base(at), &kid);
        if (e == ERR_OK)
            *out = (struct keyname_target){.kid = kid, .has_id = true, .path = MOVE(at)};
        if (e != ERR_NOT_FOUND)
            return e;
        AUTO(mem_free) char *target = NULL;
        TRY(read_link(at, &target));
        if (target == NULL) {
            *out = (struct keyname_target){.path = MOVE(sibling)};
            return ERR_OK;
        }
        char *next = beside(at, target);
        mem_free(&at);
        at = next;
        is_beside = is_beside && strchr(target, '/') == NULL;
        if (is_beside) {
            mem_free(&sibling);
            sibling = mem_strdup(at);
        }
    }
    return ERR_KEY_OUTSIDE;
}

void keyname_release(struct keyname_target *target)
{
    mem_free(&target->path);
}

char *keyname_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return mem_strdup(".");
    return mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

const char *keyname_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}
