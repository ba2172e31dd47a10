/* SPDX-License-Identifier: Apache-2.0
 *
 * Both ends of the admin socket over a real Unix socket, with a service that only repeats its
 * command.
 */
#include "engine/base/memory.h"
#include "sync-server/admin_socket.h"
#include "sync-server/folder.h"
#include "sync-server/local.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct service {
    int commands;
    size_t text_size; /* of the answer; 0: the words */
};

/* The double: the words with bars between them; "fail" fails. */
daybook_status srv_service_command(struct service *service, int argc, const char *const *argv,
                                   bool json, char **text)
{
    char words[1024] = "";
    service->commands++;
    for (int i = 0; i < argc; i++) {
        (void)snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s|", argv[i]);
    }
    (void)snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s",
                   json ? "json" : "text");
    if (service->text_size > 0) {
        *text = dk_memory_new(1, service->text_size + 1);
        memset(*text, 'x', service->text_size);
    } else {
        *text = dk_memory_copy_text(words, strlen(words));
    }
    return strcmp(argv[0], "fail") == 0 ? DAYBOOK_NOT_FOUND : DAYBOOK_OK;
}

struct world {
    char folder[300];
    struct service service;
    struct admin_socket *admin;
};

static int open_world(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    char problem[512];
    struct log silent = {.sink = NULL};
    /* a folder whose path is longer than a socket's address may be */
    (void)snprintf(world->folder, sizeof(world->folder), "test_admin-%0150d-XXXXXX", 0);
    if (mkdtemp(world->folder) == NULL ||
        srv_admin_open(world->folder, &world->service, &silent, &world->admin, problem,
                       sizeof(problem)) != DAYBOOK_OK) {
        return -1;
    }
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    srv_admin_close(world->admin);
    int result = rmdir(world->folder); /* fails where the socket was left behind */
    free(world);
    return result;
}

static void test_admin_socket__commands_are_carried_out_by_the_server(void **state)
{
    struct world *world = *state;
    char problem[512];
    char *text = NULL;
    bool ok = false;
    const char *const add[] = {"user", "add", "--name", "\"王\\\n\x01\xf0\x9f\x98\x80\"", "--", ""};
    assert_true(srv_admin_is_running(world->folder));
    assert_int_equal(
        srv_admin_call(world->folder, 6, add, true, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_true(ok);
    assert_string_equal(text, "user|add|--name|\"王\\\n\x01\xf0\x9f\x98\x80\"|--||json");
    dk_memory_free(text);
    const char *const fail[] = {"fail"};
    assert_int_equal(
        srv_admin_call(world->folder, 1, fail, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_false(ok);
    assert_string_equal(text, "fail|text");
    dk_memory_free(text);
}

static void test_admin_socket__it_is_for_its_user_only(void **state)
{
    struct world *world = *state;
    char path[FOLDER_PATH_BYTES_MAX];
    struct stat about;
    (void)srv_folder_path(world->folder, "admin.sock", path);
    assert_int_equal(stat(path, &about), 0);
    assert_true(S_ISSOCK(about.st_mode));
    assert_int_equal(about.st_mode & 07777, 0600);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_true(srv_local_peer_is_us(pair[0]));
    (void)close(pair[0]);
    (void)close(pair[1]);
    assert_false(srv_local_peer_is_us(STDIN_FILENO)); /* no socket at all */
}

static void test_admin_socket__whatever_is_no_request_is_refused(void **state)
{
    struct world *world = *state;
    static const char *const requests[] = {
        "nonsense\n",
        "\n",
        "{}\n",
        "[]\n",
        "{\"command\":[]}\n",
        "{\"command\":[1]}\n",
        "{\"command\":\"init\"}\n",
        "{\"command\":[\"a\"],\"command\":[\"b\"]}\n",
        "{\"command\":[\"a\"]}",
        "{\"command\":[\"a\"]}\n{\"command\":[\"a\"]}\n",
        "{\"command\":[\"a\\u0000b\"]}\n",
        "{\"command\":[\"\xff\"]}\n",
        "",
    };
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        char answer[512] = "";
        int file = srv_local_connect(world->folder, "admin.sock");
        assert_true(file >= 0);
        ssize_t length = (ssize_t)strlen(requests[i]);
        assert_int_equal(send(file, requests[i], (size_t)length, 0), length);
        (void)shutdown(file, SHUT_WR);
        assert_true(recv(file, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
        assert_memory_equal(answer, "{\"ok\":false,\"error\":\"", 21);
        assert_int_equal(answer[strlen(answer) - 1], '\n');
        (void)close(file);
    }
    assert_int_equal(world->service.commands, 0);
}

static void test_admin_socket__sizes_are_bounded_on_both_sides(void **state)
{
    struct world *world = *state;
    char problem[512];
    char *text = NULL;
    bool ok = false;
    static char longest[ADMIN_REQUEST_BYTES_MAX + 1];
    const char *const words[] = {longest};
    memset(longest, 'a', sizeof(longest) - 1);
    assert_int_equal(
        srv_admin_call(world->folder, 1, words, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_TOO_LARGE);
    longest[ADMIN_REQUEST_BYTES_MAX - 64] = '\0';
    assert_int_equal(
        srv_admin_call(world->folder, 1, words, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_OK);
    dk_memory_free(text);
    /* a long answer is carried; one beyond the limit is said to be */
    const char *const list[] = {"list"};
    world->service.text_size = 3000000;
    assert_int_equal(
        srv_admin_call(world->folder, 1, list, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_true(ok);
    assert_int_equal(strlen(text), 3000000);
    dk_memory_free(text);
    world->service.text_size = ADMIN_REPLY_BYTES_MAX;
    assert_int_equal(
        srv_admin_call(world->folder, 1, list, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_false(ok);
    assert_non_null(strstr(text, "too large"));
    dk_memory_free(text);
}

static void test_admin_socket__a_client_that_leaves_harms_nobody(void **state)
{
    struct world *world = *state;
    char problem[512];
    char *text = NULL;
    bool ok = false;
    world->service.text_size = 3000000;
    for (int i = 0; i < 20; i++) {
        int file = srv_local_connect(world->folder, "admin.sock");
        assert_true(file >= 0);
        if (i % 2 == 0) {
            assert_int_equal(send(file, "{\"command\":[\"a\"]}\n", 18, 0), 18);
        }
        (void)close(file);
    }
    const char *const list[] = {"list"};
    assert_int_equal(
        srv_admin_call(world->folder, 1, list, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_int_equal(strlen(text), 3000000);
    dk_memory_free(text);
}

static void test_admin_socket__nobody_there_is_told_apart_from_failure(void **state)
{
    (void)state;
    char problem[512];
    char *text = NULL;
    bool ok = false;
    const char *const list[] = {"list"};
    char folder[] = "test_admin-XXXXXX";
    assert_int_equal(
        srv_admin_call("no-such-folder", 1, list, false, &ok, &text, problem, sizeof(problem)),
        DAYBOOK_NOT_FOUND);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(srv_admin_call(folder, 1, list, false, &ok, &text, problem, sizeof(problem)),
                     DAYBOOK_NOT_FOUND);
    /* given the socket of a server that was killed */
    (void)close(srv_local_listen(folder, "admin.sock"));
    assert_int_equal(srv_admin_call(folder, 1, list, false, &ok, &text, problem, sizeof(problem)),
                     DAYBOOK_NOT_FOUND);
    assert_false(srv_admin_is_running(folder));
    /* then the next server takes its place */
    struct service service = {0};
    struct admin_socket *admin = NULL;
    struct log silent = {.sink = NULL};
    assert_int_equal(srv_admin_open(folder, &service, &silent, &admin, problem, sizeof(problem)),
                     DAYBOOK_OK);
    assert_true(srv_admin_is_running(folder));
    srv_admin_close(admin);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_admin_socket__commands_are_carried_out_by_the_server,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(test_admin_socket__it_is_for_its_user_only, open_world,
                                        close_world),
        cmocka_unit_test_setup_teardown(test_admin_socket__whatever_is_no_request_is_refused,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(test_admin_socket__sizes_are_bounded_on_both_sides,
                                        open_world, close_world),
        cmocka_unit_test_setup_teardown(test_admin_socket__a_client_that_leaves_harms_nobody,
                                        open_world, close_world),
        cmocka_unit_test(test_admin_socket__nobody_there_is_told_apart_from_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
