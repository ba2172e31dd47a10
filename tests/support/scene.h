/* SPDX-License-Identifier: Apache-2.0
 *
 * A scene for tests of disks that fail: a laboratory with two reps of one territory, one of whose
 * disks, or the server's, fails while a flow is played. It remembers what was said to be done, and
 * in the end accounts for it: what said OK is there, all else is there wholly or not at all, no
 * number went up twice, and everybody has the same.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_SCENE_H
#define DAYBOOK_TESTS_SUPPORT_SCENE_H

#include "tests/support/lab.h"

#define SCENE_DEEDS 64
#define SCENE_TEA "0193f000-0000-7000-8000-000000000001" /* a product of the catalogue */

struct scene;

/* What is played, once for each point and fault. */
struct flow {
    const char *name;
    bool server; /* it is the server's disk that fails, else a device's */
    bool opens;  /* whose disk fails is closed at first, and opened by the flow itself */
    /* With good disks, once: what there is before. scene->target may be changed. */
    void (*prepare)(struct scene *scene);
    /* With the disk that fails. NULL of an engine or server: it did not open. */
    void (*play)(struct scene *scene);
    /* With good disks again: what is left to be done; it must be OK. NULL: nothing. */
    void (*finish)(struct scene *scene);
    /* In the end, when everybody is in step; NULL: nothing more to check. */
    void (*check)(struct scene *scene);
};

/* One transaction that makes some records and changes one, all with its mark. */
struct deed {
    char mark[16];
    struct lab_device *device;
    bool sure;   /* it was said to be done, with the power on */
    bool synced; /* and a sync behind it, too */
};

struct scene {
    struct lab lab;
    const struct flow *flow;
    struct lab_device *wang, *li;
    struct lab_device *target;   /* whose disk fails; NULL: the server's does */
    char shop[DAYBOOK_ID_SIZE];  /* a customer whom both have */
    char other[DAYBOOK_ID_SIZE]; /* a record of the flow's */
    struct deed deeds[SCENE_DEEDS];
    int deed_count;
    int numbers;     /* instances that have a number, as it should be in the end */
    bool may_number; /* a flow takes new ones */
    bool restores;   /* a flow puts the server back to an earlier time */
    bool mends;      /* a flow finds contents that differ, as it should */
    int refused;     /* calls that did not say OK */
};

/* The laboratory, its people enrolled and in step; then the flow's own preparation; everything is
 * closed behind it. */
void scene_open(struct scene *scene, const struct flow *flow);
/* The process that opened it removes its files. */
void scene_close(struct scene *scene);
/* Opens what is not the flow's to open. */
void scene_wake(struct scene *scene);
struct power *scene_disk(struct scene *scene);

/* ---- what flows are made of */

/* Notes how a call ended; true: with OK. The test fails where it is nothing that a disk may cause.
 */
bool scene_call(struct scene *scene, const char *what, daybook_status status);
/* True as long as what was said to be done is done. */
bool scene_is_powered(struct scene *scene);
/* A deed; nothing where the engine is not open. */
void scene_write(struct scene *scene, struct lab_device *device);
void scene_patch(struct scene *scene, struct lab_device *device, const char *entity, const char *id,
                 const char *json);
void scene_delete(struct scene *scene, struct lab_device *device, const char *entity,
                  const char *id);
bool scene_sync(struct scene *scene, struct lab_device *device);
/* The power has been lost: relaxed commits may be gone. */
void scene_lost(struct scene *scene);
/* Opens the target, if there is power; true: it is open. */
bool scene_start(struct scene *scene);
/* Closes the target, as long as it is open. */
void scene_stop(struct scene *scene);
/* A command of the server with up to seven words, up to the first NULL; true: OK. */
bool scene_command(struct scene *scene, const char *const *words);
/* The same without faults, where it must be OK. */
void scene_must(struct scene *scene, const char *const *words);
/* The same with one record's line for the command import. */
bool scene_import(struct scene *scene, const char *line);
/* A record made by a device with a good disk. */
void scene_put(struct scene *scene, struct lab_device *device, const char *entity, const char *json,
               char id[DAYBOOK_ID_SIZE]);

/* Both reps sync until both have all, with good disks. */
void scene_sync_both(struct scene *scene);

/* Wang has changed three fields of the shop, and visited another that Li has deleted meanwhile. Li
 * has changed the same fields, later. */
void scene_quarrel(struct scene *scene);
/* What has come of it: three items that say who won, and one of what was rejected. */
void scene_quarrel_has_ended(struct scene *scene);
/* How many items of the kind Wang has. */
int64_t scene_inbox(struct scene *scene, const char *kind);
/* An expression of the shop's fields, as the server has them. */
const char *scene_shop(struct scene *scene, const char *expression);

/* ---- the end */

/* Everything is open, disks are good: accounts for all. */
void scene_end(struct scene *scene);

#endif
