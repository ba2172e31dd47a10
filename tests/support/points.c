/* SPDX-License-Identifier: Apache-2.0
 *
 * See points.h.
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include "tests/support/points.h"

#include "engine/base/database.h"
#include "tests/support/lab_inside.h"
#include "tests/support/power.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PLAYS 1            /* of each flow and fault, where nothing else is said */
#define HANGS_S 60         /* a play that takes longer hangs */
#define RECOVERY_POINTS 40 /* of a recovery that may go wrong */
#define FAILURES_MAX 20
#define FILE_BYTES_MAX ((size_t)16 * 1024 * 1024)

static const char *const fault_words[] = {
#define FAULT_WORD(name, word, text) word,
    POINTS_FAULTS(FAULT_WORD)
#undef FAULT_WORD
};

static const char *const fault_texts[] = {
#define FAULT_TEXT(name, word, text) text,
    POINTS_FAULTS(FAULT_TEXT)
#undef FAULT_TEXT
};

/* What a play tells the process that watches it; in memory that both have. */
struct report {
    bool ended;     /* it came to its end, and all was right */
    int operations; /* that change a file, of a play without faults */
    int points;     /* of all kinds, of such a play */
    unsigned char acts[POWER_POINTS_MAX];
    bool struck; /* the fault happened */
    bool again;  /* and that of the recovery */
    int refused; /* calls that did not say OK */
};

struct play {
    enum points_fault fault; /* POINTS_FAULT_COUNT: none */
    int point;               /* of the flow, from 1 */
};

struct points {
    const char *program;
    struct scene scene;
    char kept[300]; /* the folder's copy */
    struct report *report;
    int64_t struck[POINTS_FAULT_COUNT];
    int64_t points, plays, recoveries, refused;
    int failures;
};

static long number_from(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text == NULL || text[0] == '\0' ? otherwise : strtol(text, NULL, 10);
}

/* ---- files */

static void copy_file(const char *from, const char *to)
{
    static char bytes[FILE_BYTES_MAX];
    FILE *file = fopen(from, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    assert_in_range(size, 0, sizeof bytes - 1);
    (void)fclose(file);
    file = fopen(to, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void copy_folder(const char *from, const char *to)
{
    char source[600], target[600];
    struct dirent *entry;
    struct stat about;
    DIR *folder = opendir(from);
    assert_non_null(folder);
    assert_true(mkdir(to, 0700) == 0 || errno == EEXIST);
    while ((entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        (void)snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        (void)snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        assert_int_equal(stat(source, &about), 0);
        if (S_ISDIR(about.st_mode)) {
            copy_folder(source, target);
        } else {
            copy_file(source, target);
        }
    }
    (void)closedir(folder);
}

/* ---- one play, in a process of its own */

/* A number by chance for this play; not 0. */
static uint64_t draw(const struct play *play)
{
    uint64_t state = ((uint64_t)play->point * POINTS_FAULT_COUNT + play->fault + 1) *
                     UINT64_C(0x9E3779B97F4A7C15);
    return lab_next(&state) | 1;
}

/* Plans the fault. */
static void arm(struct power *disk, const struct play *play)
{
    static const enum power_loss losses[] = {POWER_LOSES_ALL, POWER_LOSES_SOME, POWER_LOSES_NONE,
                                             POWER_TEARS,     POWER_LOSES_SOME, POWER_LOSES_SOME};
    switch (play->fault) {
    case POINTS_ERROR:
    case POINTS_ERRORS:
        power_fail_at(disk, play->point, POWER_FAILS, play->fault == POINTS_ERRORS);
        break;
    case POINTS_SHORT:
    case POINTS_SHORTS:
        power_fail_at(disk, play->point, POWER_SHORT, play->fault == POINTS_SHORTS);
        break;
    case POINTS_FULL:
    case POINTS_FULLS:
        power_fail_at(disk, play->point, POWER_FULL, play->fault == POINTS_FULLS);
        break;
    case POINTS_FAULT_COUNT: break;
    default: power_lose_at(disk, play->point, losses[play->fault], draw(play)); break;
    }
}

/* The target closes, whatever state it is in, and the disk has power and works. */
static void bring_down(struct scene *scene)
{
    power_fail_at(scene_disk(scene), 0, POWER_FAILS, false);
    power_lose_at(scene_disk(scene), 0, POWER_LOSES_ALL, 0);
    if (scene->target == NULL) {
        lab_stop(&scene->lab);
    } else {
        lab_let_go(scene->target);
    }
}

/* Opens and closes the target while its disk goes wrong once more. */
static bool recover_badly(struct scene *scene, const struct play *play)
{
    struct power *disk = scene_disk(scene);
    int point = 1 + (int)(draw(play) >> 8) % RECOVERY_POINTS;
    if (play->fault == POINTS_TWICE) {
        power_lose_at(disk, 1 + point / 2, POWER_LOSES_SOME, draw(play));
    } else {
        power_fail_at(disk, point, POWER_FAILS, (draw(play) >> 16) % 2 == 0);
    }
    (void)scene_start(scene);
    scene_stop(scene);
    bool again = power_is_cut(disk) || power_struck(disk) > 0;
    bring_down(scene);
    return again;
}

/* The disk is good from now on, and the target open. After an error in every other play it goes on
 * with what it had open. */
static void recover(struct scene *scene, const struct play *play, struct report *report)
{
    struct power *disk = scene_disk(scene);
    bool lost = power_is_cut(disk);
    bool is_open =
        scene->target == NULL ? scene->lab.service != NULL : scene->target->engine != NULL;
    report->struck = lost || power_struck(disk) > 0;
    power_fail_at(disk, 0, POWER_FAILS, false);
    power_lose_at(disk, 0, POWER_LOSES_ALL, 0);
    if (is_open && !lost && play->point % 2 == 0) {
        return;
    }
    if (lost) {
        scene_lost(scene);
    }
    bring_down(scene);
    if (play->fault == POINTS_TWICE || play->fault == POINTS_UNREADABLE) {
        report->again = recover_badly(scene, play);
    }
    if (!scene_start(scene)) {
        lab_fail(&scene->lab, "it does not open on a disk that is good again");
    }
}

static void play(struct points *points, const struct play *play)
{
    struct scene *scene = &points->scene;
    struct report *report = points->report;
    struct power *disk = scene_disk(scene);
    lab_seed_sqlite(draw(play));
    scene->lab.trace = getenv("DAYBOOK_SIM_TRACE") != NULL;
    scene_wake(scene);
    int points_before = power_points(disk), operations_before = power_operations(disk);
    arm(disk, play);
    scene->refused = 0;
    scene->flow->play(scene);
    report->refused = scene->refused;
    report->points = power_points(disk) - points_before;
    report->operations = power_operations(disk) - operations_before;
    for (int i = 0; i < report->points; i++) {
        report->acts[i] = (unsigned char)power_act_at(disk, points_before + i + 1);
    }
    recover(scene, play, report);
    scene_end(scene);
    report->ended = true;
    scene->lab.folder[0] = '\0'; /* whoever made it removes it */
    lab_close(&scene->lab);
}

/* ---- all plays, watched */

/* How to play it again. */
static void word_again(struct points *points, const struct play *play)
{
    struct lab *lab = &points->scene.lab;
    (void)snprintf(lab->again, sizeof lab->again,
                   "DAYBOOK_VFS_FLOW=%s DAYBOOK_VFS_FAULT=%s DAYBOOK_VFS_POINT=%d"
                   " DAYBOOK_SIM_TRACE=1 build/release/tests/%s",
                   points->scene.flow->name,
                   play->fault == POINTS_FAULT_COUNT ? "none" : fault_words[play->fault],
                   play->point, points->program);
}

/* Plays in a copy of this process, on a copy of the files. */
static bool watch(struct points *points, const struct play *one)
{
    struct lab *lab = &points->scene.lab;
    int result = 0;
    lab_remove_folder(lab->folder);
    copy_folder(points->kept, lab->folder);
    memset(points->report, 0, sizeof *points->report);
    word_again(points, one);
    (void)fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
        (void)alarm(HANGS_S);
        play(points, one);
        (void)fflush(NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &result, 0), child);
    bool good = WIFEXITED(result) && WEXITSTATUS(result) == 0 && points->report->ended;
    if (!good) {
        points->failures++;
        print_error("flow %s, %s at point %d: %s%d\nagain: %s\n", points->scene.flow->name,
                    one->fault == POINTS_FAULT_COUNT ? "no fault" : fault_texts[one->fault],
                    one->point, WIFSIGNALED(result) ? "signal " : "exit status ",
                    WIFSIGNALED(result) ? WTERMSIG(result) : WEXITSTATUS(result), lab->again);
    }
    return good;
}

/* Whether a fault can strike at this point of the play without faults. */
static bool can_strike(const struct report *calm, enum points_fault fault, int point)
{
    enum power_act act = (enum power_act)calm->acts[point - 1];
    switch (fault) {
    case POINTS_SHORT:
    case POINTS_SHORTS: return act == POWER_READ;
    case POINTS_FULL:
    case POINTS_FULLS: return act == POWER_WRITE;
    default: return true;
    }
}

/* Plays one fault at some of the points at which it can strike, or at all; other faults begin at
 * other points. */
static void play_fault(struct points *points, const struct report *calm, enum points_fault fault)
{
    const char *only = getenv("DAYBOOK_VFS_FAULT");
    long only_point = number_from("DAYBOOK_VFS_POINT", 0);
    int last = fault < POINTS_ERROR ? calm->operations : calm->points;
    int where[POWER_POINTS_MAX], count = 0;
    if (only != NULL && only[0] != '\0' && strcmp(only, fault_words[fault]) != 0) {
        return;
    }
    for (int point = 1; point <= last; point++) {
        bool wanted = only_point == 0 ? fault < POINTS_ERROR || can_strike(calm, fault, point)
                                      : point == only_point;
        where[count] = point;
        count += wanted;
    }
    long plays = number_from("DAYBOOK_VFS_PLAYS", PLAYS);
    long wanted = plays <= 0 || plays > count ? count : plays;
    for (long i = 0; i < wanted && points->failures < FAILURES_MAX; i++) {
        const struct play some = {fault, 0};
        long at = (i * count / wanted + (long)(draw(&some) % (uint64_t)count)) % count;
        const struct play one = {fault, where[at]};
        if (watch(points, &one)) {
            points->plays++;
            points->struck[fault] += points->report->struck;
            points->recoveries += points->report->again;
            points->refused += points->report->refused;
        }
    }
}

static void play_flow(struct points *points, const struct flow *flow)
{
    const struct play calm_play = {POINTS_FAULT_COUNT, 1};
    struct scene *scene = &points->scene;
    int64_t plays = points->plays;
    scene_open(scene, flow);
    (void)snprintf(points->kept, sizeof points->kept, "%s.kept", scene->lab.folder);
    copy_folder(scene->lab.folder, points->kept);
    if (watch(points, &calm_play)) {
        struct report *calm = malloc(sizeof *calm);
        assert_non_null(calm);
        *calm = *points->report;
        if (calm->refused > 0 || calm->operations + calm->points == 0) {
            print_error("flow %s: %d calls fail on a good disk, %d points\n", flow->name,
                        calm->refused, calm->points);
            points->failures++;
        }
        for (int fault = 0; fault < POINTS_FAULT_COUNT; fault++) {
            play_fault(points, calm, (enum points_fault)fault);
        }
        points->points += calm->points;
        print_message("%-12s %4d points, %3d of them change a file; %lld plays\n", flow->name,
                      calm->points, calm->operations, (long long)(points->plays - plays));
        free(calm);
    }
    lab_remove_folder(points->kept);
    scene_close(scene);
}

void points_play(const struct flow *flows, const char *program)
{
    const char *only = getenv("DAYBOOK_VFS_FLOW");
    struct points *points = calloc(1, sizeof *points);
    assert_non_null(points);
    dk_database_own_process(); /* it is faster so */
    points->program = program;
    points->report = mmap(NULL, sizeof *points->report, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(points->report, MAP_FAILED);
    for (const struct flow *flow = flows; flow->name != NULL; flow++) {
        if (only == NULL || only[0] == '\0' || strcmp(only, flow->name) == 0) {
            play_flow(points, flow);
        }
    }
    print_message("%lld points, %lld plays, %lld calls refused\n", (long long)points->points,
                  (long long)points->plays, (long long)points->refused);
    for (int i = 0; i < POINTS_FAULT_COUNT; i++) {
        print_message("%8lld %s\n", (long long)points->struck[i], fault_texts[i]);
    }
    print_message("%8lld recoveries that went wrong\n", (long long)points->recoveries);
    int failures = points->failures;
    (void)munmap(points->report, sizeof *points->report);
    free(points);
    assert_int_equal(failures, 0);
}
