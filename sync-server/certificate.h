/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's own certificates: a CA (ca.key, ca.crt) and a server certificate that it signs
 * (server.key, server.crt with the CA behind it), EC P-256, in the data folder. Devices pin the
 * CA's public key, so the CA is made once and kept.
 */
#ifndef DAYBOOK_SERVER_CERTIFICATE_H
#define DAYBOOK_SERVER_CERTIFICATE_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERTIFICATE_PIN_SIZE 53 /* "sha256//", 44 characters of base64, NUL */
#define CERTIFICATE_HOSTS_MAX 32

/* Makes what is missing. The server's certificate is made anew where it does not exist, ends within
 * 30 days, was not signed by this CA, does not belong to its key, or names other hosts than
 * localhost, 127.0.0.1, ::1 and `hosts` (names and addresses with commas between them, "" for
 * none). A CA whose key was taken away is fine as long as nothing has to be signed. Safe to run in
 * two processes at once. *made tells whether the server's certificate changed. `problem` says what
 * is wrong with which file. */
daybook_status srv_certificate_ensure(const char *folder, const char *hosts, int64_t now_s,
                                      bool *made, char *problem, size_t problem_size);
/* Whether this list of hosts could stand in a certificate; INVALID names the wrong one. */
daybook_status srv_certificate_check_hosts(const char *hosts, char *problem, size_t problem_size);
/* "sha256//<base64>" of the CA's public key (SHA-256 of its SubjectPublicKeyInfo). NOT_FOUND where
 * there is no CA yet. */
daybook_status srv_certificate_pin(const char *folder, char pin[CERTIFICATE_PIN_SIZE],
                                   char *problem, size_t problem_size);

#endif
