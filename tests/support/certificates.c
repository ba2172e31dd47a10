/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes certificates with OpenSSL's EVP and X509 functions. Serial numbers are random, since one
 * authority signs many.
 */
#include "tests/support/certificates.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

/* Adds one extension in the text form of OpenSSL's configuration files. */
static void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(x509, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* See certificates.h. */
struct certificate certificate_new(const struct certificate_wish *wish)
{
    struct certificate made = {.key = EVP_EC_gen("P-256"), .x509 = X509_new()};
    assert_non_null(made.key);
    assert_non_null(made.x509);
    uint64_t serial = 0;
    assert_int_equal(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
    assert_int_equal(X509_set_version(made.x509, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.x509), serial >> 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(made.x509), wish->from_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(made.x509), wish->until_s));
    assert_int_equal(X509_set_pubkey(made.x509, made.key), 1);
    X509_NAME *name = X509_get_subject_name(made.x509);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                                (const unsigned char *)wish->name, -1, -1, 0),
                     1);
    X509 *issuer = wish->issuer != NULL ? wish->issuer->x509 : made.x509;
    assert_int_equal(X509_set_issuer_name(made.x509, X509_get_subject_name(issuer)), 1);
    add_extension(made.x509, issuer, NID_basic_constraints,
                  wish->authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(made.x509, issuer, NID_subject_key_identifier, "hash");
    if (wish->host != NULL) {
        add_extension(made.x509, issuer, NID_subject_alt_name, wish->host);
    }
    EVP_PKEY *signing_key = wish->issuer != NULL ? wish->issuer->key : made.key;
    assert_true(X509_sign(made.x509, signing_key, EVP_sha256()) > 0);
    return made;
}

/* See certificates.h. */
void certificate_clear(struct certificate *certificate)
{
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->x509);
    *certificate = (struct certificate){0};
}

/* See certificates.h. */
void certificate_write(const struct certificate *certificate, const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, certificate->x509), 1);
    assert_int_equal(fclose(file), 0);
}

/* See certificates.h. */
void certificate_pin(const struct certificate *certificate, char pin[64])
{
    unsigned char *der = NULL;
    unsigned char hash[32];
    int length = i2d_PUBKEY(certificate->key, &der);
    assert_true(length > 0);
    assert_int_equal(EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha256(), NULL), 1);
    OPENSSL_free(der);
    memcpy(pin, "sha256//", 8);
    (void)EVP_EncodeBlock((unsigned char *)pin + 8, hash, sizeof(hash));
}
