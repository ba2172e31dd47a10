/* SPDX-License-Identifier: Apache-2.0
 *
 * The route table and its look-up. Pure. Called by the connection when a head is complete.
 * Invariant: targets are compared byte by byte; nothing is decoded, folded or cut, so a path has
 * one spelling.
 */
#include "sync-server/http/router.h"

#include <stddef.h>
#include <string.h>

static const struct http_route routes[] = {
    {"POST", "/v1/sync", true, HTTP_BODY_BYTES_MAX},
    {"POST", "/v1/fetch", true, 64 * 1024},
    {"POST", "/v1/lease", true, 64 * 1024},
    {"POST", "/v1/enrol", false, 64 * 1024},
    {"GET", "/v1/health", false, 0},
    {NULL, NULL, false, 0},
};

const struct http_route *srv_http_routes(void)
{
    return routes;
}

/* Fills the refusal; returns NULL for the caller to return. */
static const struct http_route *refuse(struct http_refusal *refusal, int status, const char *code,
                                       const char *text)
{
    refusal->status = status;
    refusal->code = code;
    refusal->text = text;
    refusal->allow = NULL;
    return NULL;
}

const struct http_route *srv_http_route(const struct http_request *request,
                                        struct http_refusal *refusal)
{
    const struct http_route *route = routes;
    while (route->path != NULL && strcmp(route->path, request->target) != 0) {
        route++;
    }
    if (route->path == NULL) {
        return refuse(refusal, 404, "NOT_FOUND", "there is nothing at this path");
    }
    if (strcmp(route->method, request->method) != 0) {
        (void)refuse(refusal, 405, "METHOD", "the path has another method");
        refusal->allow = route->method;
        return NULL;
    }
    if (route->needs_token && request->token == NULL) {
        return refuse(refusal, 401, "SIGN_IN", "a bearer token is needed");
    }
    if (request->content_length > route->body_max) {
        return refuse(refusal, 413, "TOO_LARGE", "the body is too large for this path");
    }
    return route;
}
