/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets the stage for tests of the transport. Everything is made anew for each test, so that no
 * session or socket of one test helps the next.
 */
#include "tests/support/transport_world.h"

#include <daybook/posix.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* See transport_world.h. */
void transport_world_serve(struct transport_world *world, const struct certificate *own,
                           const struct certificate *intermediate)
{
    tls_server_stop(world->server);
    world->server = tls_server_start(own, intermediate);
    (void)snprintf(world->url, sizeof(world->url), "https://127.0.0.1:%d/v1/sync",
                   tls_server_port(world->server));
    world->request.url = world->url;
}

/* See transport_world.h. */
void transport_world_reconnect(struct transport_world *world)
{
    world->platform->transport_close(world->platform->context, world->connection);
    world->connection = world->platform->transport_open(world->platform->context);
    assert_non_null(world->connection);
}

/* See transport_world.h. */
int transport_world_set_up(void **state)
{
    struct transport_world *world = calloc(1, sizeof(*world));
    assert_non_null(world);
    world->authority = certificate_new(&(struct certificate_wish){
        .name = "Test authority", .authority = true, .from_s = -3600, .until_s = 86400});
    world->own = certificate_new(&(struct certificate_wish){.name = "Test server",
                                                            .host = "IP:127.0.0.1",
                                                            .issuer = &world->authority,
                                                            .from_s = -3600,
                                                            .until_s = 86400});
    (void)snprintf(world->folder, sizeof(world->folder), "transport-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)snprintf(world->ca_file, sizeof(world->ca_file), "%s/ca.pem", world->folder);
    certificate_write(&world->authority, world->ca_file);
    world->platform = daybook_posix_platform();
    world->request = (struct daybook_request){.size = sizeof(world->request),
                                              .method = "GET",
                                              .ca_file = world->ca_file,
                                              .reply_max = 64 * 1024,
                                              .timeout_ms = 20000};
    transport_world_serve(world, &world->own, NULL);
    transport_world_reconnect(world);
    *state = world;
    return 0;
}

/* See transport_world.h. */
int transport_world_tear_down(void **state)
{
    struct transport_world *world = *state;
    world->platform->transport_close(world->platform->context, world->connection);
    tls_server_stop(world->server);
    certificate_clear(&world->own);
    certificate_clear(&world->authority);
    (void)unlink(world->ca_file);
    (void)rmdir(world->folder);
    free(world);
    return 0;
}

/* See transport_world.h. */
daybook_status transport_world_exchange(struct transport_world *world)
{
    memset(&world->reply, 0, sizeof(world->reply));
    world->reply.size = sizeof(world->reply);
    return world->platform->transport_exchange(world->platform->context, world->connection,
                                               &world->request, &world->reply);
}

/* See transport_world.h. */
void transport_world_answer(struct transport_world *world, const char *reply)
{
    tls_server_play(world->server, &(struct tls_play){.reply = reply, .reply_size = strlen(reply)});
}
