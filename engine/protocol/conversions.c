/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of conversions, oldest first: convert.h says what a row does. There is none yet,
 * because there is one schema. tests/versions/conversions.c has one of each kind: a renamed field,
 * a split one, one in another unit, one that must have a value.
 */
#include "engine/protocol/convert.h"

const struct conversion dk_conversions[] = {{0}};
