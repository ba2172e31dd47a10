/* SPDX-License-Identifier: Apache-2.0
 *
 * A main() for a fuzz target in builds without libFuzzer: runs each file that is named, and each
 * file of a folder that is named, once. Names the file under way where one ends the program.
 */
#define _XOPEN_SOURCE 700 /* nftw, scandir's order */

#include "tests/fuzz/fuzz.h"

#include "tests/support/folder.h"

#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

#define INPUT_MAX ((size_t)1 << 20)

/* False: it cannot be read. */
static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_MAX);
    if (file == NULL || bytes == NULL) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        return false;
    }
    size_t size = fread(bytes, 1, INPUT_MAX, file);
    (void)fclose(file);
    uint8_t *exact = (uint8_t *)fuzz_copy(bytes, size);
    free(bytes);
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return true;
}

/* How many files were run; -1: one cannot be read. */
static int run_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort), done = 0;
    for (int i = 0; i < count; i++) {
        char name[1000];
        (void)snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && done >= 0) {
            done = run_file(name) ? done + 1 : -1;
        }
        free(entries[i]);
    }
    free(entries);
    return count < 0 ? -1 : done;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

/* All that a target keeps until its end lies in one folder, which goes with it. */
int main(int argc, char **argv)
{
    char folder[300];
    int inputs = 0;
    folder_make(folder, sizeof folder, "daybook_fuzz");
    (void)setenv("TMPDIR", folder, 1);
    for (int i = 1; i < argc; i++) {
        struct stat status;
        bool is_folder = stat(argv[i], &status) == 0 && S_ISDIR(status.st_mode);
        int done = is_folder ? run_folder(argv[i]) : run_file(argv[i]) ? 1 : -1;
        if (done < 0) {
            return 1;
        }
        inputs += done;
    }
    (void)nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    (void)printf("%d inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
