/* SPDX-License-Identifier: Apache-2.0
 *
 * Starting and waiting for other programs. Called by server.c and for the figure of memory.
 * Invariant: no child outlives the bench.
 */
#define _GNU_SOURCE /* pipe2, prctl */

#include "tests/bench/process.h"

#include "tests/bench/harness.h"

#include "engine/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* Between fork and exec: only calls that are safe there. */
_Noreturn static void become(const char *const *argv, int output, pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent || dup2(output, 1) < 0) {
        _exit(126);
    }
    (void)execv(argv[0], (char *const *)argv);
    _exit(127);
}

pid_t process_start(const char *const *argv, int *output)
{
    int ends[2];
    pid_t parent = getpid();
    if (pipe2(ends, O_CLOEXEC) != 0) {
        bench_fail("no pipe: %s", strerror(errno));
    }
    pid_t process = fork();
    if (process < 0) {
        bench_fail("cannot start %s: %s", argv[0], strerror(errno));
    }
    if (process == 0) {
        become(argv, ends[1], parent);
    }
    (void)close(ends[1]);
    *output = ends[0];
    return process;
}

bool process_line(int output, char *line, size_t size)
{
    size_t length = 0;
    char c = '\0';
    ssize_t count;
    while ((count = read(output, &c, 1)) == 1 && c != '\n') {
        if (length + 1 < size) {
            line[length++] = c;
        }
    }
    line[length] = '\0';
    return count == 1 || length > 0;
}

void process_wait(pid_t process, const char *what)
{
    int status = 0;
    while (waitpid(process, &status, 0) < 0) {
        if (errno != EINTR) {
            bench_fail("waiting for %s: %s", what, strerror(errno));
        }
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        bench_fail("%s failed (status %d)", what, status);
    }
}

void process_run(const char *const *argv, char *line, size_t size)
{
    char next[512];
    int output;
    pid_t process = process_start(argv, &output);
    line[0] = '\0';
    while (process_line(output, next, sizeof next)) {
        if (next[0] != '\0' && !dk_text_format(line, size, "%s", next)) {
            bench_fail("%s printed a line that is too long", argv[0]);
        }
    }
    (void)close(output);
    process_wait(process, argv[1] != NULL ? argv[1] : argv[0]);
}
