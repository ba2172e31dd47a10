/* SPDX-License-Identifier: Apache-2.0
 *
 * Loaded into a process before the C library (LD_PRELOAD): ends the process with SIGKILL instead of
 * the n-th call that changes a file, n being the number in the environment variable KILL_AT_WRITE.
 * With KILL_COUNT_FILE the number of such calls is written there at a normal end.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* What the C library declares by macros for large files, or does not declare at all here. */
ssize_t pwrite64(int file, const void *bytes, size_t length, off_t offset);
int ftruncate64(int file, off_t length);

static atomic_long calls;

/* One more call; does not return from the one that is meant. */
static void count(void)
{
    const char *text = getenv("KILL_AT_WRITE");
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (text != NULL && strtol(text, NULL, 10) == number) {
        (void)kill(getpid(), SIGKILL);
        for (;;) {
            (void)pause();
        }
    }
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("KILL_COUNT_FILE");
    FILE *file = path == NULL ? NULL : fopen(path, "w");
    if (file != NULL) {
        (void)fprintf(file, "%ld\n", atomic_load(&calls));
        (void)fclose(file);
    }
}

/* The C library's function of this name. */
static void *below(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        abort();
    }
    return found;
}

__attribute__((visibility("default"))) ssize_t pwrite64(int file, const void *bytes, size_t length,
                                                        off_t offset)
{
    ssize_t (*call)(int, const void *, size_t, off_t);
    void *found = below("pwrite64");
    memcpy(&call, &found, sizeof call);
    count();
    return call(file, bytes, length, offset);
}

__attribute__((visibility("default"))) int ftruncate64(int file, off_t length)
{
    int (*call)(int, off_t);
    void *found = below("ftruncate64");
    memcpy(&call, &found, sizeof call);
    count();
    return call(file, length);
}

__attribute__((visibility("default"))) int fdatasync(int file)
{
    int (*call)(int);
    void *found = below("fdatasync");
    memcpy(&call, &found, sizeof call);
    count();
    return call(file);
}

__attribute__((visibility("default"))) int fsync(int file)
{
    int (*call)(int);
    void *found = below("fsync");
    memcpy(&call, &found, sizeof call);
    count();
    return call(file);
}

__attribute__((visibility("default"))) int unlink(const char *path)
{
    int (*call)(const char *);
    void *found = below("unlink");
    memcpy(&call, &found, sizeof call);
    count();
    return call(path);
}
