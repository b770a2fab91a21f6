/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_CLIENT_H
#define API_CLIENT_H

#include "api/call.h"

/*
 * The address of who made the call: the connection's peer; when that is a trusted proxy of the service, the right-most
 * entry of X-Forwarded-For that is none. What does not parse as an address ends the search: the proxy that passed it
 * on is then the client. Borrowed from the call.
 */
const char *client_address(struct call *c);

#endif
