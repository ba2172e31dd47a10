/* SPDX-License-Identifier: Apache-2.0
 *
 * The stories of snapshots, for devices that ask for pages of one record.
 */
#include "tests/flow/snapshot_stories.h"

int main(void)
{
    return tell_all("snapshot", 0);
}
