# SPDX-License-Identifier: Apache-2.0
"""Histories of devices under faults, and their judge.

Where to look:

    company     the real server and ten device processes, each behind a network of its own
    network     that network: passes bytes, holds them back in one or both directions, cuts
    nemesis     the faults, by a seed
    play        one run from its beginning to its end
    recording   what the files of a run say: transactions, reads, stores
    order       the server's order, and what each item said at each place in it
    prefix      each snapshot is such a place, with the own work on top
    outcome     what stands in the end: no loss, no duplicate, atomicity, replicas
    script      a small history that is right, made by hand
    self_test   the same, spoilt in one way each, which must be found
"""
