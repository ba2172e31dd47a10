/* SPDX-License-Identifier: Apache-2.0
 *
 * The network and the clocks of a laboratory; see lab.h. Between lab.c and lab_network.c only.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_LAB_NETWORK_H
#define DAYBOOK_TESTS_SUPPORT_LAB_NETWORK_H

#include "tests/support/lab.h"

/* Fills in the hooks of the device. */
void lab_platform(struct lab_device *device);

#endif
