/* SPDX-License-Identifier: Apache-2.0
 *
 * The server's own certificates: made once, kept, made anew for the right reasons only, and the CA
 * never.
 */
#include "engine/base/memory.h"
#include "sync-server/certificate.h"
#include "sync-server/folder.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define DAY_S ((int64_t)86400)

static const char *const files[] = {"ca.key", "ca.crt", "server.key", "server.crt"};

/* A fresh data folder per test; the path is the state. */
static int make_folder(void **state)
{
    char pattern[] = "test_certificate-XXXXXX";
    if (mkdtemp(pattern) == NULL) {
        return -1;
    }
    *state = strdup(pattern);
    return 0;
}

static int remove_folder(void **state)
{
    char path[FOLDER_PATH_BYTES_MAX];
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        (void)srv_folder_path(*state, files[i], path);
        (void)unlink(path);
    }
    int result = rmdir(*state); /* fails where a temporary file was left behind */
    free(*state);
    return result;
}

static void ensure(const char *folder, const char *hosts, int64_t now_s, bool expected_made)
{
    char problem[512];
    bool made = false;
    daybook_status status =
        srv_certificate_ensure(folder, hosts, now_s, &made, problem, sizeof(problem));
    if (status != DAYBOOK_OK) {
        print_error("%s\n", problem);
    }
    assert_int_equal(status, DAYBOOK_OK);
    assert_int_equal(made, expected_made);
}

/* The bytes of a file; freed by the caller with dk_memory_free. */
static char *bytes_of(const char *folder, const char *name)
{
    char problem[512];
    char *bytes = NULL;
    size_t length = 0;
    assert_int_equal(
        srv_folder_read(folder, name, false, &bytes, &length, problem, sizeof(problem)),
        DAYBOOK_OK);
    return bytes;
}

/* The nth certificate of a file. */
static X509 *certificate_of(const char *folder, const char *name, int nth)
{
    char *bytes = bytes_of(folder, name);
    BIO *bio = BIO_new_mem_buf(bytes, -1);
    X509 *certificate = NULL;
    for (int i = 0; i <= nth; i++) {
        X509_free(certificate);
        certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    }
    BIO_free(bio);
    dk_memory_free(bytes);
    return certificate;
}

/* Verifies the server's chain with the CA as the only trust, as a TLS client would, for this name
 * or address. */
static bool client_trusts(const char *folder, const char *host, bool is_address, int64_t now_s)
{
    X509 *server = certificate_of(folder, "server.crt", 0);
    X509 *ca = certificate_of(folder, "ca.crt", 0);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, ca);
    X509_STORE_CTX_init(context, store, server, NULL);
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)now_s);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
    if (is_address) {
        X509_VERIFY_PARAM_set1_ip_asc(parameters, host);
    } else {
        X509_VERIFY_PARAM_set1_host(parameters, host, 0);
    }
    bool trusted = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(server);
    X509_free(ca);
    return trusted;
}

static void test_certificate__first_start_makes_what_clients_trust(void **state)
{
    /* given an empty folder */
    const char *folder = *state;
    int64_t now_s = (int64_t)time(NULL);
    /* when the certificates are ensured */
    ensure(folder, "", now_s, true);
    /* then a strict client trusts the local names and no other */
    assert_true(client_trusts(folder, "localhost", false, now_s));
    assert_true(client_trusts(folder, "127.0.0.1", true, now_s));
    assert_true(client_trusts(folder, "::1", true, now_s));
    assert_false(client_trusts(folder, "shop.example", false, now_s));
    assert_false(client_trusts(folder, "127.0.0.2", true, now_s));
    assert_false(client_trusts(folder, "localhost", false, now_s + 398 * DAY_S));
    /* and the keys are for nobody else, and the chain file carries the CA */
    char path[FOLDER_PATH_BYTES_MAX];
    for (size_t i = 0; i < 4; i += 2) {
        struct stat about;
        (void)srv_folder_path(folder, files[i], path);
        assert_int_equal(stat(path, &about), 0);
        assert_int_equal(about.st_mode & 07777, 0600);
    }
    X509 *second = certificate_of(folder, "server.crt", 1);
    X509 *ca = certificate_of(folder, "ca.crt", 0);
    assert_non_null(second);
    assert_int_equal(X509_cmp(second, ca), 0);
    assert_true(X509_check_ca(ca) == 1);
    X509_free(second);
    X509_free(ca);
}

static void test_certificate__a_second_start_changes_nothing(void **state)
{
    const char *folder = *state;
    int64_t now_s = (int64_t)time(NULL);
    char *before[4];
    ensure(folder, "shop.example, 192.0.2.7", now_s, true);
    for (size_t i = 0; i < 4; i++) {
        before[i] = bytes_of(folder, files[i]);
    }
    ensure(folder, "shop.example,192.0.2.7", now_s + 300 * DAY_S, false);
    for (size_t i = 0; i < 4; i++) {
        char *after = bytes_of(folder, files[i]);
        assert_string_equal(before[i], after);
        dk_memory_free(before[i]);
        dk_memory_free(after);
    }
}

static void test_certificate__new_hosts_and_expiry_renew_it_and_keep_the_ca(void **state)
{
    const char *folder = *state;
    int64_t now_s = (int64_t)time(NULL);
    char problem[512];
    char pin[CERTIFICATE_PIN_SIZE];
    char pin_after[CERTIFICATE_PIN_SIZE];
    ensure(folder, "", now_s, true);
    assert_int_equal(srv_certificate_pin(folder, pin, problem, sizeof(problem)), DAYBOOK_OK);
    /* when host names are added */
    ensure(folder, "shop.example,192.0.2.7,2001:db8::7,*.shop.example", now_s, true);
    assert_true(client_trusts(folder, "shop.example", false, now_s));
    assert_true(client_trusts(folder, "a.shop.example", false, now_s));
    assert_true(client_trusts(folder, "192.0.2.7", true, now_s));
    assert_true(client_trusts(folder, "2001:db8::7", true, now_s));
    assert_true(client_trusts(folder, "localhost", false, now_s));
    /* when they are taken away */
    ensure(folder, "localhost", now_s, true);
    assert_false(client_trusts(folder, "shop.example", false, now_s));
    ensure(folder, "", now_s, false);
    /* when its last month begins */
    ensure(folder, "", now_s + 366 * DAY_S, false);
    ensure(folder, "", now_s + 368 * DAY_S, true);
    assert_true(client_trusts(folder, "localhost", false, now_s + 700 * DAY_S));
    /* then the pin is the same through all of it */
    assert_int_equal(srv_certificate_pin(folder, pin_after, problem, sizeof(problem)), DAYBOOK_OK);
    assert_string_equal(pin, pin_after);
}

static void test_certificate__a_cut_start_is_finished(void **state)
{
    const char *folder = *state;
    int64_t now_s = (int64_t)time(NULL);
    char path[FOLDER_PATH_BYTES_MAX];
    char problem[512];
    char pin[CERTIFICATE_PIN_SIZE];
    char pin_after[CERTIFICATE_PIN_SIZE];
    ensure(folder, "", now_s, true);
    assert_int_equal(srv_certificate_pin(folder, pin, problem, sizeof(problem)), DAYBOOK_OK);
    /* given that only the keys were written, and later that a key belongs to no certificate */
    (void)srv_folder_path(folder, "ca.crt", path);
    assert_int_equal(unlink(path), 0);
    (void)srv_folder_path(folder, "server.crt", path);
    assert_int_equal(unlink(path), 0);
    ensure(folder, "", now_s, true);
    char *ca_key = bytes_of(folder, "ca.key");
    assert_int_equal(srv_folder_write(folder, "server.key", ca_key, strlen(ca_key), 0600, problem,
                                      sizeof(problem)),
                     DAYBOOK_OK);
    ensure(folder, "", now_s, true);
    assert_true(client_trusts(folder, "localhost", false, now_s));
    /* then the CA's key, and so the pin, is the one from before */
    assert_int_equal(srv_certificate_pin(folder, pin_after, problem, sizeof(problem)), DAYBOOK_OK);
    assert_string_equal(pin, pin_after);
    dk_memory_free(ca_key);
}

static void test_certificate__problems_name_the_file(void **state)
{
    const char *folder = *state;
    int64_t now_s = (int64_t)time(NULL);
    char path[FOLDER_PATH_BYTES_MAX];
    char problem[512];
    bool made = false;
    ensure(folder, "", now_s, true);
    /* given a CA key that was taken away: fine until something has to be signed */
    (void)srv_folder_path(folder, "ca.key", path);
    char *ca_key = bytes_of(folder, "ca.key");
    assert_int_equal(unlink(path), 0);
    ensure(folder, "", now_s, false);
    assert_int_equal(
        srv_certificate_ensure(folder, "new.example", now_s, &made, problem, sizeof(problem)),
        DAYBOOK_CANNOT_OPEN);
    assert_non_null(strstr(problem, "ca.key"));
    assert_non_null(strstr(problem, "host names"));
    /* given a key that others may read */
    assert_int_equal(
        srv_folder_write(folder, "ca.key", ca_key, strlen(ca_key), 0644, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_int_equal(srv_certificate_ensure(folder, "", now_s, &made, problem, sizeof(problem)),
                     DAYBOOK_CANNOT_OPEN);
    assert_non_null(strstr(problem, "chmod 600"));
    /* given garbage as a certificate, a CA that has expired, wrong host names */
    assert_int_equal(
        srv_folder_write(folder, "ca.key", ca_key, strlen(ca_key), 0600, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_int_equal(
        srv_certificate_ensure(folder, "", now_s + 7301 * DAY_S, &made, problem, sizeof(problem)),
        DAYBOOK_UNTRUSTED);
    assert_int_equal(
        srv_certificate_ensure(folder, "a_b.example", now_s, &made, problem, sizeof(problem)),
        DAYBOOK_INVALID);
    assert_non_null(strstr(problem, "a_b.example"));
    assert_int_equal(
        srv_folder_write(folder, "server.crt", "garbage", 7, 0644, problem, sizeof(problem)),
        DAYBOOK_OK);
    assert_int_equal(srv_certificate_ensure(folder, "", now_s, &made, problem, sizeof(problem)),
                     DAYBOOK_CANNOT_OPEN);
    assert_non_null(strstr(problem, "server.crt"));
    dk_memory_free(ca_key);
}

static void test_certificate__hosts_are_checked(void **state)
{
    (void)state;
    char problem[512];
    static const char *const good[] = {"", "a", "a.b-c.example, 10.0.0.1 ,::1", "*.example",
                                       "xn--fiq228c.example"};
    static const char *const bad[] = {"-a",    "a-",    "a..b",      ".a",       "a.", "*",
                                      "a.*.b", "a b_c", "1.2.3.4/8", "http://a", "a:1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(srv_certificate_check_hosts(good[i], problem, sizeof(problem)),
                         DAYBOOK_OK);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(srv_certificate_check_hosts(bad[i], problem, sizeof(problem)),
                         DAYBOOK_INVALID);
    }
    char many[1024] = "";
    for (int i = 0; i < CERTIFICATE_HOSTS_MAX; i++) {
        (void)snprintf(many + strlen(many), sizeof(many) - strlen(many), "h%d.example,", i);
    }
    assert_int_equal(srv_certificate_check_hosts(many, problem, sizeof(problem)), DAYBOOK_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_certificate__first_start_makes_what_clients_trust,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_certificate__a_second_start_changes_nothing,
                                        make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(
            test_certificate__new_hosts_and_expiry_renew_it_and_keep_the_ca, make_folder,
            remove_folder),
        cmocka_unit_test_setup_teardown(test_certificate__a_cut_start_is_finished, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(test_certificate__problems_name_the_file, make_folder,
                                        remove_folder),
        cmocka_unit_test(test_certificate__hosts_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
