/* SPDX-License-Identifier: Apache-2.0
 *
 * The transport hooks by libcurl and OpenSSL; the contract is that of <daybook/platform.h>. TLS 1.3
 * at least, chain and host name always verified, no redirects, HTTPS only. Called through the
 * struct of daybook_posix_platform().
 */
#ifndef DAYBOOK_PLATFORM_CURL_TRANSPORT_H
#define DAYBOOK_PLATFORM_CURL_TRANSPORT_H

#include <daybook/platform.h>

/* A connection, or NULL when out of memory. */
void *dk_curl_open(void *context);
/* One request and its whole answer. Besides the codes of platform.h: DAYBOOK_INVALID for a request
 * that is not one (method, URL without https, control characters in the token), DAYBOOK_INTERNAL
 * when this libcurl lacks what the contract needs. */
daybook_status dk_curl_exchange(void *context, void *connection,
                                const struct daybook_request *request, struct daybook_reply *reply);
/* Makes the running exchange, or else the next one, end with DAYBOOK_INTERRUPTED. Any thread. */
void dk_curl_interrupt(void *context, void *connection);
/* Closes the sockets and frees the connection; no exchange may be running. */
void dk_curl_close(void *context, void *connection);

#endif
