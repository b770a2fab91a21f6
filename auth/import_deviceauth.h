/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IMPORT_DEVICEAUTH_H
#define AUTH_IMPORT_DEVICEAUTH_H

#include "auth/import.h"

/*
 * What mongoexport writes of the original deviceauth: the collections devices, auth_sets, tokens and limits
 * (contract/deviceauth 7). A device is the same one here if its identity has the same canonical form and hash; a key is
 * kept in its one form; a token lives on while it has not expired and its set is accepted. In the order of the table:
 * sets need their devices, tokens their sets.
 */
extern const struct import_collection import_deviceauth[];

#endif
