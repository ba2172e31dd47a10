/* SPDX-License-Identifier: Apache-2.0
 *
 * Records that became one: what the rest of the decision asks redirect.c.
 */
#ifndef DAYBOOK_DECIDE_REDIRECT_H
#define DAYBOOK_DECIDE_REDIRECT_H

#include "sync-server/decide/work.h"

/* The record that a redirect of a customer or visit leads to; the work itself where there is none.
 * NULL: the decision has failed. */
struct work *srv_redirect_target(struct decision *decision, struct work *work);
/* Where what a redirected record had, all that it leads over is loaded, came to the one that it
 * leads to. */
int64_t srv_redirect_came(const struct decision *decision, const struct work *work);
/* Whoever may change or name the one record, or might then, may do so to the one that it has become
 * (`past`), though they never saw that. */
bool srv_redirect_lead_on(struct decision *decision, struct work *named, struct work *target);
/* The verdict says that something went to another record than `from`. */
void srv_redirect_tell(struct decision *decision, const struct work *from);
/* The change with its references to customers and visits led to where those are redirected. */
bool srv_redirect_references(struct decision *decision, const struct change **change);
/* Where the work's record, whose change is set, is redirected: the change goes to the other one. */
bool srv_redirect_change(struct decision *decision, struct work *work);
/* Merges the changes that do. Behind all others. */
bool srv_redirect_late(struct decision *decision);
/* Of the server: *renames where the value is the stored reference led on; then it is put. */
bool srv_redirect_renames(struct decision *decision, struct work *work, int field,
                          const struct value *sent, bool *renames);
/* The references of a tombstone that comes back are led to where they would have been led, had it
 * never been one. */
bool srv_redirect_revived(struct decision *decision, struct work *work);
/* Of a change that was led to another record: `base` is the stamp of what the record that was named
 * has. Where the author had seen it, the change is later than it (*time), and what came from there
 * to this record, which `stored` tells, was seen, too (*seen). */
void srv_redirect_seen(const struct decision *decision, const struct stamp *base,
                       const struct stamp *stored, hlc *time, int64_t *seen);
/* The result of merging a value of such a change: one that the same changeset has given to the
 * other record already, which `stored` tells, loses against it, though it is the author's own. */
enum merge_result srv_redirect_result(const struct decision *decision, const struct stamp *stored,
                                      enum merge_result result);
/* Where the server redirects a customer to another: the one's values go into the other. */
bool srv_redirect_join(struct decision *decision);
/* A customer that is redirected belongs to whom the other one belongs. */
void srv_redirect_along(struct decision *decision, struct work *from, const struct work *into);

#endif
