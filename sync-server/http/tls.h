/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's side of TLS: one OpenSSL context per set of certificates.
 */
#ifndef DAYBOOK_SERVER_HTTP_TLS_H
#define DAYBOOK_SERVER_HTTP_TLS_H

#include <daybook/status.h>

#include <openssl/types.h>

#include <stdbool.h>
#include <stddef.h>

/* A context for server.crt and server.key of the data folder; the caller's (srv_tls_free). TLS 1.3
 * only, or from 1.2 with AEAD suites only where `allow_tls12`. No renegotiation, no compression, no
 * early data; stateless session tickets. */
daybook_status srv_tls_open(const char *folder, bool allow_tls12, SSL_CTX **out, char *problem,
                            size_t problem_size);
/* Gives the reference back; the context lives as long as others have one. NULL is fine. */
void srv_tls_free(SSL_CTX *tls);

#endif
