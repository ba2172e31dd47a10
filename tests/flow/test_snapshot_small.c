/* SPDX-License-Identifier: Apache-2.0
 *
 * The stories of snapshots, with a server whose pages have one record, for everybody: so have those
 * that it keeps, and its log.
 */
#include "tests/flow/snapshot_stories.h"

int main(void)
{
    return tell_all("snapshot, small pages", 1);
}
