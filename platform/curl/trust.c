/* SPDX-License-Identifier: Apache-2.0
 *
 * Verification of the server. libcurl checks chain and host name; this file adds the pins, which
 * may name any key of the verified chain (libcurl's own pinning knows the leaf only). The check
 * runs inside of the handshake, before the first byte of a request is sent. Invariant: a handshake
 * that ends well has met the pins that were set when it began.
 */
#include "platform/curl/trust.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PIN_PREFIX "sha256//"
enum {
    HASH_SIZE = 32,                                                      /* bytes of SHA-256 */
    PIN_SIZE = (int)sizeof(PIN_PREFIX) - 1 + (HASH_SIZE + 2) / 3 * 4 + 1 /* text with its NUL */
};

/* The bytes that joined pins take, with the NUL. */
static size_t joined_size(const char *const *pins)
{
    size_t size = 1;
    for (size_t i = 0; pins[i] != NULL; i++) {
        size += strlen(pins[i]) + 1;
    }
    return size;
}

/* The pins, each followed by a line feed, as one text that the caller frees; NULL when out of
 * memory. */
static char *join_pins(const char *const *pins)
{
    char *joined = malloc(joined_size(pins));
    if (joined == NULL) {
        return NULL;
    }
    char *end = joined;
    for (size_t i = 0; pins[i] != NULL; i++) {
        size_t length = strlen(pins[i]);
        memcpy(end, pins[i], length);
        end[length] = '\n';
        end += length + 1;
    }
    *end = '\0';
    return joined;
}

/* True when joined is what join_pins(pins) would give; both may be NULL. */
static bool same_pins(const char *joined, const char *const *pins)
{
    if (joined == NULL || pins == NULL) {
        return joined == NULL && pins == NULL;
    }
    for (size_t i = 0; pins[i] != NULL; i++) {
        size_t length = strlen(pins[i]);
        if (strncmp(joined, pins[i], length) != 0 || joined[length] != '\n') {
            return false;
        }
        joined += length + 1;
    }
    return *joined == '\0';
}

/* See trust.h. */
bool dk_trust_equals(const struct dk_trust *trust, const char *ca_file, const char *const *pins)
{
    bool same_file = ca_file == NULL || trust->ca_file == NULL
                         ? ca_file == NULL && trust->ca_file == NULL
                         : strcmp(ca_file, trust->ca_file) == 0;
    return same_file && same_pins(trust->pins, pins);
}

/* See trust.h. */
bool dk_trust_set(struct dk_trust *trust, const char *ca_file, const char *const *pins)
{
    char *file_copy = ca_file != NULL ? strdup(ca_file) : NULL;
    char *pins_copy = pins != NULL ? join_pins(pins) : NULL;
    if ((ca_file != NULL && file_copy == NULL) || (pins != NULL && pins_copy == NULL)) {
        free(file_copy);
        free(pins_copy);
        return false;
    }
    dk_trust_clear(trust);
    trust->ca_file = file_copy;
    trust->pins = pins_copy;
    return true;
}

/* See trust.h. */
void dk_trust_clear(struct dk_trust *trust)
{
    free(trust->ca_file);
    free(trust->pins);
    *trust = (struct dk_trust){0};
}

/* Writes the pin of a certificate's public key: "sha256//" and the base64 of SHA-256 over its
 * SubjectPublicKeyInfo. False when OpenSSL fails. */
static bool pin_of(const X509 *certificate, char pin[PIN_SIZE])
{
    unsigned char *der = NULL;
    unsigned char hash[HASH_SIZE];
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    if (length <= 0) {
        return false;
    }
    int hashed = EVP_Digest(der, (size_t)length, hash, NULL, EVP_sha256(), NULL);
    OPENSSL_free(der);
    if (hashed != 1) {
        return false;
    }
    memcpy(pin, PIN_PREFIX, sizeof(PIN_PREFIX) - 1);
    (void)EVP_EncodeBlock((unsigned char *)pin + sizeof(PIN_PREFIX) - 1, hash, HASH_SIZE);
    return true;
}

/* True when the pin is a whole line of the joined pins. */
static bool is_listed(const char *joined, const char *pin)
{
    size_t length = strlen(pin);
    for (const char *line = joined; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, pin, length) == 0 && line[length] == '\n') {
            return true;
        }
    }
    return false;
}

/* True when one key of the chain is pinned. */
static bool meets_pin(const STACK_OF(X509) *chain, const char *joined)
{
    for (int i = 0; i < sk_X509_num(chain); i++) {
        char pin[PIN_SIZE];
        if (pin_of(sk_X509_value(chain, i), pin) && is_listed(joined, pin)) {
            return true;
        }
    }
    return false;
}

/* OpenSSL asks whether the server's chain is good. First the usual verification (up to a trusted
 * CA, dates, use); then one key of the chain found by it, including the CA's own, must be pinned.
 * 1: good. */
static int verify_chain(X509_STORE_CTX *store, void *pointer)
{
    struct dk_trust *trust = pointer;
    int verified = X509_verify_cert(store);
    if (verified == 1 && trust->pins != NULL &&
        !meets_pin(X509_STORE_CTX_get0_chain(store), trust->pins)) {
        X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
        verified = 0;
    }
    trust->refused = verified != 1;
    return verified;
}

/* OpenSSL reports the steps of a connection. Keeps the reason of a handshake that failed, since
 * libcurl has one code for "the peer does not speak our TLS" and for "the line was cut". */
static void watch_handshake(const SSL *ssl, int where, int result)
{
    if ((where & SSL_CB_CONNECT_EXIT) != SSL_CB_CONNECT_EXIT || result > 0) {
        return;
    }
    struct dk_trust *trust = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    trust->tls_fault = ERR_peek_error();
}

/* libcurl has made the TLS context of a new connection and lets us set it up further. */
static CURLcode set_up_tls(CURL *curl, void *context, void *pointer)
{
    (void)curl;
    SSL_CTX *tls = context;
    struct dk_trust *trust = pointer;
    trust->tls_fault = 0;
    trust->refused = false;
    if (SSL_CTX_set_app_data(tls, trust) != 1 ||
        SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1) {
        return CURLE_SSL_CONNECT_ERROR;
    }
    SSL_CTX_set_cert_verify_callback(tls, verify_chain, trust);
    SSL_CTX_set_info_callback(tls, watch_handshake);
    return CURLE_OK;
}

/* See trust.h. With a file of its own, the system's folder of CAs must not count beside it. */
CURLcode dk_trust_apply(struct dk_trust *trust, CURL *curl)
{
    assert(trust != NULL && curl != NULL);
    CURLcode code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
    }
    if (code == CURLE_OK && trust->ca_file != NULL) {
        code = curl_easy_setopt(curl, CURLOPT_CAINFO, trust->ca_file);
    }
    if (code == CURLE_OK && trust->ca_file != NULL) {
        code = curl_easy_setopt(curl, CURLOPT_CAPATH, NULL);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, set_up_tls);
    }
    if (code == CURLE_OK) {
        code = curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, trust);
    }
    return code;
}

/* See trust.h. */
bool dk_trust_refused(const struct dk_trust *trust)
{
    return trust->refused;
}

/* See trust.h. OpenSSL says "unexpected EOF" where the line was cut. */
bool dk_trust_peer_broke_tls(const struct dk_trust *trust)
{
    return trust->tls_fault != 0 &&
           ERR_GET_REASON(trust->tls_fault) != SSL_R_UNEXPECTED_EOF_WHILE_READING;
}
