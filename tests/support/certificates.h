/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates for tests, made in memory: authorities and server certificates that are right, for
 * another host, or expired. Each has a fresh P-256 key.
 */
#ifndef DAYBOOK_TESTS_SUPPORT_CERTIFICATES_H
#define DAYBOOK_TESTS_SUPPORT_CERTIFICATES_H

#include <stdbool.h>

#include <openssl/x509.h>

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
};

/* What a certificate shall say. */
struct certificate_wish {
    const char *name; /* common name */
    const char *host; /* subject alternative name such as "IP:127.0.0.1"; NULL: none */
    const struct certificate *issuer; /* NULL: signs itself */
    bool authority;                   /* may sign others */
    long from_s;                      /* valid from now + this */
    long until_s;                     /* valid until now + this */
};

/* Makes a certificate; the test fails when OpenSSL does. */
struct certificate certificate_new(const struct certificate_wish *wish);
/* Frees key and certificate. */
void certificate_clear(struct certificate *certificate);
/* Writes the certificate as PEM over the file. */
void certificate_write(const struct certificate *certificate, const char *path);
/* Writes "sha256//<base64>" of the public key. */
void certificate_pin(const struct certificate *certificate, char pin[64]);

#endif
