/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_DEVICE_PRINT_H
#define CMD_DEVICE_PRINT_H

#include "auth/device.h"

/* How devices are shown to a person. What they say of themselves comes out as ASCII: it must not steer the terminal. */

/* A text as ASCII: what is none as \uXXXX. */
void device_print_text(const char *text);

void device_print_head(void);
void device_print_row(const struct device *device);

/* All there is to know of one. */
void device_print_all(const struct device *device);

#endif
