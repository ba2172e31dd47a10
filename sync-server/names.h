/* SPDX-License-Identifier: Apache-2.0
 *
 * The host names and addresses of the server's certificate. Used by certificate.c only.
 */
#ifndef DAYBOOK_SERVER_NAMES_H
#define DAYBOOK_SERVER_NAMES_H

#include <daybook/status.h>

#include <openssl/x509v3.h>

#include <stddef.h>

/* localhost, 127.0.0.1, ::1 and each of `hosts` once, in that order; the caller's
 * (GENERAL_NAMES_free). INVALID names the host that is neither a DNS name nor an address. */
daybook_status srv_names_make(const char *hosts, GENERAL_NAMES **names, char *problem,
                              size_t problem_size);

#endif
