/* SPDX-License-Identifier: Apache-2.0
 *
 * Turns "shop.example, 192.0.2.7" into the alternative names of a certificate. Called by
 * certificate.c. Invariant: the same list gives the same bytes, so that a change of names can be
 * seen by comparing them.
 */
#include "sync-server/names.h"

#include "engine/base/text.h"
#include "sync-server/certificate.h"

#include <openssl/err.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#define NAME_BYTES_MAX 253 /* of a DNS name, RFC 1035 section 2.3.4 */

/* A DNS name of letters, digits and hyphens, labels of 1 to 63; "*" may stand as the whole first
 * label. */
static bool is_dns_name(const char *name)
{
    size_t label = 0;
    size_t length = strlen(name);
    if (length == 0 || length > NAME_BYTES_MAX) {
        return false;
    }
    for (size_t i = strncmp(name, "*.", 2) == 0 ? 2 : 0; i <= length; i++) {
        char c = name[i];
        if (c == '.' || c == '\0') {
            if (label == 0 || label > 63 || name[i - 1] == '-') {
                return false;
            }
            label = 0;
            continue;
        }
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c != '-' || label == 0)) {
            return false;
        }
        label++;
    }
    return true;
}

/* The name as it goes into a certificate: an address as its bytes, anything else as DNS name; NULL
 * without memory. */
static GENERAL_NAME *new_name(const char *host)
{
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    ERR_clear_error(); /* a name that is no address may leave one */
    ASN1_IA5STRING *text = address == NULL ? ASN1_IA5STRING_new() : NULL;
    if (name != NULL && address != NULL) {
        GENERAL_NAME_set0_value(name, GEN_IPADD, address);
        return name;
    }
    if (name != NULL && text != NULL && ASN1_STRING_set(text, host, (int)strlen(host)) == 1) {
        GENERAL_NAME_set0_value(name, GEN_DNS, text);
        return name;
    }
    ASN1_OCTET_STRING_free(address);
    ASN1_IA5STRING_free(text);
    GENERAL_NAME_free(name);
    return NULL;
}

/* Appends the host unless it is there. */
static daybook_status add_name(GENERAL_NAMES *names, const char *host)
{
    GENERAL_NAME *name = new_name(host);
    if (name == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0) {
            GENERAL_NAME_free(name);
            return DAYBOOK_OK;
        }
    }
    if (sk_GENERAL_NAME_push(names, name) == 0) {
        GENERAL_NAME_free(name);
        return DAYBOOK_NO_MEMORY;
    }
    return DAYBOOK_OK;
}

/* Checks and appends each host of the list. */
static daybook_status add_list(GENERAL_NAMES *names, const char *hosts, char *problem,
                               size_t problem_size)
{
    while (*hosts != '\0') {
        char host[NAME_BYTES_MAX + 1];
        unsigned char address[16];
        size_t begin = strspn(hosts, ", \t");
        size_t length = strcspn(hosts + begin, ", \t");
        bool fits = length < sizeof(host);
        size_t copied = fits ? length : sizeof(host) - 1;
        memcpy(host, hosts + begin, copied);
        host[copied] = '\0';
        hosts += begin + length;
        if (length == 0) {
            continue;
        }
        bool is_address =
            inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
        if (!fits || (!is_address && !is_dns_name(host))) {
            (void)dk_text_format(problem, problem_size, "%s is neither a host name nor an address",
                                 host);
            return DAYBOOK_INVALID;
        }
        if (sk_GENERAL_NAME_num(names) >= CERTIFICATE_HOSTS_MAX) {
            (void)dk_text_format(problem, problem_size, "more than %d host names",
                                 CERTIFICATE_HOSTS_MAX);
            return DAYBOOK_INVALID;
        }
        daybook_status status = add_name(names, host);
        if (status != DAYBOOK_OK) {
            return status;
        }
    }
    return DAYBOOK_OK;
}

daybook_status srv_names_make(const char *hosts, GENERAL_NAMES **names, char *problem,
                              size_t problem_size)
{
    daybook_status status = DAYBOOK_NO_MEMORY;
    problem[0] = '\0';
    *names = sk_GENERAL_NAME_new_null();
    if (*names != NULL) {
        status = add_name(*names, "localhost");
    }
    if (status == DAYBOOK_OK) {
        status = add_name(*names, "127.0.0.1");
    }
    if (status == DAYBOOK_OK) {
        status = add_name(*names, "::1");
    }
    if (status == DAYBOOK_OK) {
        status = add_list(*names, hosts, problem, problem_size);
    }
    if (status != DAYBOOK_OK) {
        GENERAL_NAMES_free(*names);
        *names = NULL;
        if (status == DAYBOOK_NO_MEMORY) {
            (void)dk_text_format(problem, problem_size, "out of memory");
        }
    }
    return status;
}
