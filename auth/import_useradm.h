/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPORT_USERADM_H
#define AUTH_IMPORT_USERADM_H

#include "auth/import.h"

/*
 * The collections of the original useradm (contract/useradm 8), in the order in which they are imported: users, tokens,
 * settings, user_settings.
 *
 * Users keep id, tenant, e-mail (in lower case), bcrypt hash and times; what counts as the same user is all of these
 * but the times of the last update and login, which move on. Tokens keep id, user, name, key id and times; the last use
 * may differ. Settings keep their text, numbers as plain JSON numbers, and their etag, or get one.
 */
extern const struct import_collection import_useradm[];

#endif
