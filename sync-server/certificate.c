/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes and keeps the CA and the server certificate (RFC 5280 profiles, EVP only). Called at start
 * and once an hour by main. Invariant: ca.key is written once and never replaced; every pin handed
 * out stays good for as long as the CA.
 */
#include "sync-server/certificate.h"

#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "sync-server/folder.h"
#include "sync-server/names.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define DAY_S ((int64_t)86400)
#define CA_DAYS 7300     /* 20 years */
#define SERVER_DAYS 397  /* what clients commonly accept at most */
#define RENEW_DAYS 30    /* made anew this long before the end */
#define BACKDATE_S DAY_S /* for devices whose clock is behind */

/* What one run works on. All owned. */
struct certificates {
    const char *folder; /* borrowed */
    int64_t now_s;
    EVP_PKEY *ca_key; /* NULL: not there */
    X509 *ca;
    EVP_PKEY *server_key;
    X509 *server;
    GENERAL_NAMES *names; /* what the server's certificate has to name */
    char *problem;        /* borrowed */
    size_t problem_size;
};

/* Words an OpenSSL failure; clears its queue so that no later caller sees it. */
static daybook_status fail(struct certificates *all, const char *what)
{
    char reason[160] = "out of memory";
    unsigned long error = ERR_get_error();
    if (error != 0) {
        ERR_error_string_n(error, reason, sizeof(reason));
    }
    ERR_clear_error();
    (void)dk_text_format(all->problem, all->problem_size, "cannot %s in %s: %s", what, all->folder,
                         reason);
    return DAYBOOK_CANNOT_OPEN;
}

/* Reads a PEM key; NOT_FOUND leaves *key NULL. */
static daybook_status load_key(struct certificates *all, const char *name, EVP_PKEY **key)
{
    char *bytes = NULL;
    size_t length = 0;
    daybook_status status =
        srv_folder_read(all->folder, name, true, &bytes, &length, all->problem, all->problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    OPENSSL_cleanse(bytes, length);
    dk_memory_free(bytes);
    return *key != NULL ? DAYBOOK_OK : fail(all, name);
}

/* Reads the first certificate of a PEM file; NOT_FOUND leaves *certificate NULL. */
static daybook_status load_certificate(struct certificates *all, const char *name,
                                       X509 **certificate)
{
    char *bytes = NULL;
    size_t length = 0;
    daybook_status status =
        srv_folder_read(all->folder, name, false, &bytes, &length, all->problem, all->problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    *certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    dk_memory_free(bytes);
    return *certificate != NULL ? DAYBOOK_OK : fail(all, name);
}

/* Writes what a memory BIO holds to a file. */
static daybook_status save(struct certificates *all, BIO *bio, const char *name, unsigned mode)
{
    char *bytes = NULL;
    long length = BIO_get_mem_data(bio, &bytes);
    return srv_folder_write(all->folder, name, bytes, (size_t)length, mode, all->problem,
                            all->problem_size);
}

/* Makes a P-256 key and writes it with mode 0600. */
static daybook_status make_key(struct certificates *all, const char *name, EVP_PKEY **key)
{
    daybook_status status = DAYBOOK_OK;
    BIO *bio = BIO_new(BIO_s_secmem());
    *key = EVP_EC_gen("P-256");
    if (bio == NULL || *key == NULL ||
        PEM_write_bio_PKCS8PrivateKey(bio, *key, NULL, NULL, 0, NULL, NULL) != 1) {
        status = fail(all, name);
    } else {
        status = save(all, bio, name, 0600);
    }
    BIO_free(bio);
    return status;
}

/* Writes a certificate, and the one that signed it behind it where given. */
static daybook_status save_certificate(struct certificates *all, X509 *certificate, X509 *issuer,
                                       const char *name)
{
    daybook_status status = DAYBOOK_OK;
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1 ||
        (issuer != NULL && PEM_write_bio_X509(bio, issuer) != 1)) {
        status = fail(all, name);
    } else {
        status = save(all, bio, name, 0644);
    }
    BIO_free(bio);
    return status;
}

/* 16 random bytes as a positive serial number. */
static bool set_serial(X509 *certificate)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    bytes[0] = (unsigned char)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool fine =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return fine;
}

/* Adds one extension in OpenSSL's configuration syntax. */
static bool add_extension(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    bool fine = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return fine;
}

/* A version 3 certificate with serial, key, subject and a life of `days` from a day before now; not
 * yet signed. */
static X509 *new_certificate(int64_t now_s, EVP_PKEY *key, const char *common_name, int64_t days)
{
    X509 *certificate = X509_new();
    if (certificate == NULL) {
        return NULL;
    }
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
        ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)(now_s - BACKDATE_S)) != NULL &&
        ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)(now_s + days * DAY_S)) != NULL &&
        X509_set_pubkey(certificate, key) == 1 &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                   -1, -1, 0) == 1) {
        return certificate;
    }
    X509_free(certificate);
    return NULL;
}

/* The CA for its key: signs server certificates and nothing that signs further. */
static daybook_status make_ca(struct certificates *all)
{
    unsigned char random[4];
    char name[40];
    if (RAND_bytes(random, sizeof(random)) != 1) {
        return fail(all, "make ca.crt");
    }
    (void)dk_text_format(name, sizeof(name), "Daybook CA %02x%02x%02x%02x", random[0], random[1],
                         random[2], random[3]);
    all->ca = new_certificate(all->now_s, all->ca_key, name, CA_DAYS);
    if (all->ca == NULL || X509_set_issuer_name(all->ca, X509_get_subject_name(all->ca)) != 1 ||
        !add_extension(all->ca, all->ca, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !add_extension(all->ca, all->ca, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !add_extension(all->ca, all->ca, NID_subject_key_identifier, "hash") ||
        X509_sign(all->ca, all->ca_key, EVP_sha256()) == 0) {
        return fail(all, "make ca.crt");
    }
    return save_certificate(all, all->ca, NULL, "ca.crt");
}

/* A fresh key and a certificate for it that names all hosts, signed by the CA. */
static daybook_status make_server(struct certificates *all)
{
    EVP_PKEY_free(all->server_key);
    X509_free(all->server);
    all->server_key = NULL;
    all->server = NULL;
    daybook_status status = make_key(all, "server.key", &all->server_key);
    if (status != DAYBOOK_OK) {
        return status;
    }
    all->server = new_certificate(all->now_s, all->server_key, "Daybook server", SERVER_DAYS);
    if (all->server == NULL ||
        X509_set_issuer_name(all->server, X509_get_subject_name(all->ca)) != 1 ||
        !add_extension(all->server, all->ca, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(all->server, all->ca, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(all->server, all->ca, NID_ext_key_usage, "serverAuth") ||
        !add_extension(all->server, all->ca, NID_subject_key_identifier, "hash") ||
        !add_extension(all->server, all->ca, NID_authority_key_identifier, "keyid") ||
        X509_add1_ext_i2d(all->server, NID_subject_alt_name, all->names, 0, X509V3_ADD_DEFAULT) !=
            1 ||
        X509_sign(all->server, all->ca_key, EVP_sha256()) == 0) {
        return fail(all, "make server.crt");
    }
    return save_certificate(all, all->server, all->ca, "server.crt");
}

/* Whether the certificate's alternative names are exactly these, by their DER bytes. */
static bool names_are(X509 *certificate, GENERAL_NAMES *names)
{
    GENERAL_NAMES *present = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    unsigned char *present_bytes = NULL;
    unsigned char *wanted_bytes = NULL;
    int present_length = present != NULL ? i2d_GENERAL_NAMES(present, &present_bytes) : -1;
    int wanted_length = i2d_GENERAL_NAMES(names, &wanted_bytes);
    bool same = present_length > 0 && present_length == wanted_length &&
                memcmp(present_bytes, wanted_bytes, (size_t)wanted_length) == 0;
    OPENSSL_free(present_bytes);
    OPENSSL_free(wanted_bytes);
    GENERAL_NAMES_free(present);
    return same;
}

/* Whether `certificate` is still valid `days` after now, and valid now at all. */
static bool lives(const struct certificates *all, X509 *certificate, int64_t days)
{
    time_t now = (time_t)all->now_s;
    time_t later = (time_t)(all->now_s + days * DAY_S);
    return X509_cmp_time(X509_get0_notBefore(certificate), &now) < 0 &&
           X509_cmp_time(X509_get0_notAfter(certificate), &later) > 0;
}

/* Why the server's certificate cannot stay, or NULL where it can. */
static const char *why_remake(struct certificates *all)
{
    if (all->server == NULL || all->server_key == NULL) {
        return "it is missing";
    }
    if (!lives(all, all->server, RENEW_DAYS)) {
        return "it is expired or about to expire";
    }
    if (X509_check_private_key(all->server, all->server_key) != 1) {
        return "it does not belong to server.key";
    }
    if (X509_verify(all->server, X509_get0_pubkey(all->ca)) != 1) {
        return "it was not signed by ca.crt";
    }
    if (!names_are(all->server, all->names)) {
        return "the host names have changed";
    }
    return NULL;
}

/* Loads the CA, or makes it where there is none. A key without certificate is a start that was cut:
 * it is finished. */
static daybook_status ensure_ca(struct certificates *all)
{
    daybook_status key_status = load_key(all, "ca.key", &all->ca_key);
    if (key_status != DAYBOOK_OK && key_status != DAYBOOK_NOT_FOUND) {
        return key_status;
    }
    daybook_status status = load_certificate(all, "ca.crt", &all->ca);
    if (status == DAYBOOK_NOT_FOUND) {
        if (key_status == DAYBOOK_NOT_FOUND) {
            key_status = make_key(all, "ca.key", &all->ca_key);
        }
        return key_status == DAYBOOK_OK ? make_ca(all) : key_status;
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (all->ca_key != NULL && X509_check_private_key(all->ca, all->ca_key) != 1) {
        return fail(all, "use ca.crt with ca.key");
    }
    if (!lives(all, all->ca, 0)) {
        (void)dk_text_format(
            all->problem, all->problem_size,
            "ca.crt in %s is not valid at this time; check the clock. An expired CA has to be "
            "moved away, and all devices enrolled again",
            all->folder);
        return DAYBOOK_UNTRUSTED;
    }
    return DAYBOOK_OK;
}

/* Loads the server's certificate and makes it anew where it cannot stay. */
static daybook_status ensure_server(struct certificates *all, bool *made)
{
    daybook_status status = load_key(all, "server.key", &all->server_key);
    if (status == DAYBOOK_OK || status == DAYBOOK_NOT_FOUND) {
        status = load_certificate(all, "server.crt", &all->server);
    }
    if (status != DAYBOOK_OK && status != DAYBOOK_NOT_FOUND) {
        return status;
    }
    const char *reason = why_remake(all);
    ERR_clear_error();
    if (reason == NULL) {
        return DAYBOOK_OK;
    }
    if (all->ca_key == NULL) {
        (void)dk_text_format(
            all->problem, all->problem_size,
            "server.crt in %s has to be made anew (%s), but ca.key is not there to sign it",
            all->folder, reason);
        return DAYBOOK_CANNOT_OPEN;
    }
    *made = true;
    return make_server(all);
}

daybook_status srv_certificate_ensure(const char *folder, const char *hosts, int64_t now_s,
                                      bool *made, char *problem, size_t problem_size)
{
    struct certificates all = {
        .folder = folder, .now_s = now_s, .problem = problem, .problem_size = problem_size};
    daybook_status status = DAYBOOK_OK;
    *made = false;
    problem[0] = '\0';
    status = srv_names_make(hosts, &all.names, problem, problem_size);
    if (status != DAYBOOK_OK) {
        return status;
    }
    /* One process at a time makes certificates; the lock goes with the file. */
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0 || flock(lock, LOCK_EX) != 0) {
        (void)dk_text_format(problem, problem_size, "cannot lock the data folder %s", folder);
        status = DAYBOOK_CANNOT_OPEN;
        goto out;
    }
    status = ensure_ca(&all);
    if (status == DAYBOOK_OK) {
        status = ensure_server(&all, made);
    }
out:
    if (lock >= 0) {
        (void)close(lock);
    }
    EVP_PKEY_free(all.ca_key);
    EVP_PKEY_free(all.server_key);
    X509_free(all.ca);
    X509_free(all.server);
    GENERAL_NAMES_free(all.names);
    return status;
}

daybook_status srv_certificate_check_hosts(const char *hosts, char *problem, size_t problem_size)
{
    GENERAL_NAMES *names = NULL;
    daybook_status status = srv_names_make(hosts, &names, problem, problem_size);
    GENERAL_NAMES_free(names);
    return status;
}

daybook_status srv_certificate_pin(const char *folder, char pin[CERTIFICATE_PIN_SIZE],
                                   char *problem, size_t problem_size)
{
    struct certificates all = {.folder = folder, .problem = problem, .problem_size = problem_size};
    unsigned char *key_bytes = NULL;
    unsigned char digest[SHA256_DIGEST_LENGTH];
    problem[0] = '\0';
    daybook_status status = load_certificate(&all, "ca.crt", &all.ca);
    if (status != DAYBOOK_OK) {
        return status;
    }
    int length = i2d_PUBKEY(X509_get0_pubkey(all.ca), &key_bytes);
    if (length <= 0 ||
        EVP_Digest(key_bytes, (size_t)length, digest, NULL, EVP_sha256(), NULL) != 1) {
        status = fail(&all, "compute the pin of ca.crt");
    } else {
        memcpy(pin, "sha256//", 8);
        (void)EVP_EncodeBlock((unsigned char *)pin + 8, digest, sizeof(digest));
    }
    OPENSSL_free(key_bytes);
    X509_free(all.ca);
    return status;
}
