/* SPDX-License-Identifier: Apache-2.0
 *
 * Builds the TLS context. Called by main at start and when certificates were made anew.
 * Invariant: no setting weakens it below TLS 1.2 with forward secrecy and AEAD.
 *
 * Two modes stay off because libevent's TLS buffers cannot live with them: read-ahead (records held
 * back inside of OpenSSL raise no event) and SSL_MODE_ENABLE_PARTIAL_WRITE (the rest of a piece
 * would be overtaken by the next piece).
 */
#include "sync-server/http/tls.h"

#include "engine/base/text.h"
#include "sync-server/folder.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

/* Chooses http/1.1 where the client offers it; a client that offers only others is turned away (RFC
 * 7301 section 3.2). */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *offered, unsigned offered_length, void *context)
{
    static const unsigned char ours[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, out_length, ours, sizeof(ours), offered, offered_length) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Loads the pair; on failure `what` names the file. */
static bool load_pair(SSL_CTX *tls, const char *folder, const char **what)
{
    char path[FOLDER_PATH_BYTES_MAX];
    *what = "server.crt";
    if (!srv_folder_path(folder, *what, path) ||
        SSL_CTX_use_certificate_chain_file(tls, path) != 1) {
        return false;
    }
    *what = "server.key";
    return srv_folder_path(folder, *what, path) &&
           SSL_CTX_use_PrivateKey_file(tls, path, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(tls) == 1;
}

daybook_status srv_tls_open(const char *folder, bool allow_tls12, SSL_CTX **out, char *problem,
                            size_t problem_size)
{
    static const unsigned char session_context[] = "daybook";
    const char *what = "TLS";
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL ||
        SSL_CTX_set_min_proto_version(tls, allow_tls12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set_session_id_context(tls, session_context, sizeof(session_context) - 1) != 1 ||
        SSL_CTX_set_num_tickets(tls, 1) != 1 || !load_pair(tls, folder, &what)) {
        char reason[160] = "out of memory";
        unsigned long error = ERR_get_error();
        if (error != 0) {
            ERR_error_string_n(error, reason, sizeof(reason));
        }
        ERR_clear_error();
        (void)dk_text_format(problem, problem_size, "cannot use %s in %s: %s", what, folder,
                             reason);
        SSL_CTX_free(tls);
        return DAYBOOK_CANNOT_OPEN;
    }
    (void)SSL_CTX_set_options(tls, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                       SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    (void)SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
    /* Tickets carry the session, so the server keeps none. */
    (void)SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(tls, choose_protocol, NULL);
    *out = tls;
    return DAYBOOK_OK;
}

void srv_tls_free(SSL_CTX *tls)
{
    SSL_CTX_free(tls);
}
