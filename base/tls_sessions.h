/*
 * tls_sessions.h - TLS sessions that outlive the process: the next run resumes what this one agreed on
 *                  with a server, which spares both sides the certificates and a signature.
 *
 * libcurl keeps sessions in memory only. Its OpenSSL tells us of each new one and lets us offer one
 * when a handshake begins; with another TLS library, or without libssl.so.3, nothing is kept.
 *
 * A session is written when a request over it was answered, so its certificate and name were
 * checked. Its file (0600, in a folder of 0700) is named after host, port and the authorities that
 * were trusted. Whoever can read it could pretend to be us to that server, not read what was said.
 *
 * Only http_client.c and http_transfer.c use this.
 */
#ifndef BASE_TLS_SESSIONS_H
#define BASE_TLS_SESSIONS_H

#include "base/buf.h"

struct tls_sessions {
	char *folder;            /* owned; NULL: nothing is kept */
	struct tls_peer **peers; /* owned: those that were spoken to */
	size_t count;
};
void tls_sessions_free(struct tls_sessions *sessions);

/* For CURLOPT_SSL_CTX_DATA; NULL: there is nothing to do. Borrowed, lives as long as sessions. */
struct tls_peer *tls_sessions_peer(struct tls_sessions *sessions, struct str host, struct str port);
/* CURLOPT_SSL_CTX_FUNCTION: 0 is CURLE_OK. */
int tls_sessions_prepare(void *curl, void *ssl_context, void *peer);
/* A request to the peer was answered: what is new is written. */
void tls_sessions_keep(struct tls_peer *peer);

#endif
