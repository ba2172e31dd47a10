/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a connection trusts: the CAs of one PEM file or of the system, and public key pins, one of
 * which must be in the verified chain. Used by the transport only; a trust belongs to one
 * connection.
 */
#ifndef DAYBOOK_PLATFORM_CURL_TRUST_H
#define DAYBOOK_PLATFORM_CURL_TRUST_H

#include <stdbool.h>

#include <curl/curl.h>

struct dk_trust {
    char *ca_file;           /* owned; NULL: the system's CAs */
    char *pins;              /* owned, each pin followed by a line feed; NULL: no pins asked for */
    bool refused;            /* the last handshake showed a chain that is not trusted */
    unsigned long tls_fault; /* OpenSSL's code of the handshake that failed last; 0: none, or cut */
};

/* True when the trust is the one described by ca_file and the NULL-terminated pins (each may be
 * NULL). */
bool dk_trust_equals(const struct dk_trust *trust, const char *ca_file, const char *const *pins);
/* Copies ca_file and pins in place of what was there; false when out of memory, the trust is then
 * unchanged. */
bool dk_trust_set(struct dk_trust *trust, const char *ca_file, const char *const *pins);
/* Frees what the trust owns and leaves it empty. */
void dk_trust_clear(struct dk_trust *trust);
/* Makes every TLS handshake of the curl handle obey the trust, which must outlive the handle and
 * all connections made with it. Anything but CURLE_OK: this libcurl cannot do it, and no request
 * may be sent. */
CURLcode dk_trust_apply(struct dk_trust *trust, CURL *curl);
/* True when the last handshake failed on the certificates. libcurl does not always see that: with
 * an authority of the right name but another key, OpenSSL's first complaint is about a signature.
 */
bool dk_trust_refused(const struct dk_trust *trust);
/* True when the last handshake failed on what the peer said, not on a line that was cut. */
bool dk_trust_peer_broke_tls(const struct dk_trust *trust);

#endif
