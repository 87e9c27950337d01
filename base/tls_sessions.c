#include "base/tls_sessions.h"

#include "base/file.h"
#include "base/library.h"
#include "base/memory.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SESSION_LIMIT = 64 << 10, PEERS_LIMIT = 64 };

/* libssl as libcurl has loaded it. */
static struct {
	void (*ctx_sess_set_new_cb)(SSL_CTX *ctx,
		int (*new_session)(SSL *ssl, SSL_SESSION *session));
	int (*(*ctx_sess_get_new_cb)(SSL_CTX *ctx))(SSL *ssl, SSL_SESSION *session);
	void (*ctx_set_info_callback)(SSL_CTX *ctx,
		void (*info)(const SSL *ssl, int type, int value));
	int (*ctx_set_ex_data)(SSL_CTX *ctx, int index, void *data);
	void *(*ctx_get_ex_data)(const SSL_CTX *ctx, int index);
	SSL_CTX *(*get_ssl_ctx)(const SSL *ssl);
	SSL_SESSION *(*get_session)(const SSL *ssl);
	int (*set_session)(SSL *ssl, SSL_SESSION *session);
	int (*session_to_der)(const SSL_SESSION *session, unsigned char **out);
	SSL_SESSION *(*session_of_der)(SSL_SESSION **session, const unsigned char **in, long size);
	void (*session_free)(SSL_SESSION *session);
	int (*session_is_resumable)(const SSL_SESSION *session);
} ssl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *problem; /* owned: why there is no libssl */

static void load(void)
{
	static const struct library_function functions[] = {
		{"SSL_CTX_sess_set_new_cb", &ssl.ctx_sess_set_new_cb},
		{"SSL_CTX_sess_get_new_cb", &ssl.ctx_sess_get_new_cb},
		{"SSL_CTX_set_info_callback", &ssl.ctx_set_info_callback},
		{"SSL_CTX_set_ex_data", &ssl.ctx_set_ex_data},
		{"SSL_CTX_get_ex_data", &ssl.ctx_get_ex_data},
		{"SSL_get_SSL_CTX", &ssl.get_ssl_ctx},
		{"SSL_get_session", &ssl.get_session},
		{"SSL_set_session", &ssl.set_session},
		{"i2d_SSL_SESSION", &ssl.session_to_der},
		{"d2i_SSL_SESSION", &ssl.session_of_der},
		{"SSL_SESSION_free", &ssl.session_free},
		{"SSL_SESSION_is_resumable", &ssl.session_is_resumable},
	};

	problem = library_load("libssl.so.3", functions, countof(functions));
}

struct tls_peer {
	char *name, *path;                             /* owned */
	struct buf kept;                               /* what the file had */
	struct buf new_one;                            /* what the server gave since */
	int (*others)(SSL *ssl, SSL_SESSION *session); /* libcurl's own callback */
};

static void wipe(struct buf *buf)
{
	if (buf->data)
		explicit_bzero(buf->data, buf->size);
	buf_free(buf);
}

void tls_sessions_free(struct tls_sessions *sessions)
{
	for (size_t i = 0; i < sessions->count; i++) {
		struct tls_peer *peer = sessions->peers[i];

		wipe(&peer->kept);
		wipe(&peer->new_one);
		free(peer->name);
		free(peer->path);
		free(peer);
	}
	free(sessions->peers);
	free(sessions->folder);
	*sessions = (struct tls_sessions){0};
}

static void read_kept(struct tls_peer *peer)
{
	struct stat status;
	struct error ignored = {0};

	if (lstat(peer->path, &status) < 0 || !S_ISREG(status.st_mode) ||
		status.st_uid != geteuid() || (status.st_mode & 077) != 0)
		return;
	if (!file_read(peer->path, SESSION_LIMIT, &peer->kept, &ignored)) {
		error_ignore(&ignored, "a new session is agreed on instead");
		wipe(&peer->kept);
	}
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

/* FNV-1a: to tell settings apart, no secret. */
static uint64_t mix(uint64_t sum, const char *text)
{
	for (; *text; text++)
		sum = (sum ^ (unsigned char)*text) * 0x100000001b3;
	return (sum ^ '\n') * 0x100000001b3;
}

/* A file that was changed holds other authorities. */
static uint64_t mix_file(uint64_t sum, const char *path)
{
	struct stat status;
	char text[80] = "";

	if (*path && stat(path, &status) == 0)
		snprintf(text, sizeof(text), "%lld %lld.%09ld", (long long)status.st_size,
			(long long)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
	return mix(mix(sum, path), text);
}

/* "r.example.com_3a443-<authorities>.tls": a session that was checked against others is not ours. */
static char *path_of(const char *folder, const char *name)
{
	scoped(buf_free) struct buf file = {0};
	uint64_t authorities = mix_file(0xcbf29ce484222325, "/etc/ssl/certs/ca-certificates.crt");

	authorities = mix_file(authorities, variable("SSL_CERT_FILE"));
	authorities = mix_file(authorities, variable("SSL_CERT_DIR"));

	for (const char *at = name; *at; at++)
		if (strchr("abcdefghijklmnopqrstuvwxyz0123456789.-", *at))
			buf_append_char(&file, *at);
		else
			buf_printf(&file, "_%02x", (unsigned char)*at);
	return memory_format("%s/%.200s-%016llx.tls", folder, buf_text(&file),
		(unsigned long long)authorities);
}

static struct tls_peer *new_peer(const struct tls_sessions *sessions, const char *name)
{
	struct tls_peer *peer = memory_new(sizeof(*peer));

	peer->name = memory_copy_text(name);
	peer->path = path_of(sessions->folder, name);
	read_kept(peer);
	return peer;
}

struct tls_peer *tls_sessions_peer(struct tls_sessions *sessions, struct str host, struct str port)
{
	scoped(text_free) char *name = memory_format("%.*s:%.*s", str_args(host), str_args(port));

	if (!sessions->folder)
		return NULL;
	pthread_once(&once, load);
	for (size_t i = 0; i < sessions->count; i++)
		if (text_equal(sessions->peers[i]->name, name))
			return sessions->peers[i];
	if (problem || sessions->count == PEERS_LIMIT)
		return NULL;
	struct tls_peer *peer = new_peer(sessions, name);

	sessions->peers =
		memory_resize(sessions->peers, (sessions->count + 1) * sizeof(sessions->peers[0]));
	sessions->peers[sessions->count++] = peer;
	return peer;
}

static struct tls_peer *peer_of(const SSL *connection)
{
	return ssl.ctx_get_ex_data(ssl.get_ssl_ctx(connection), 0);
}

/* A handshake begins: offers what was kept, unless libcurl has something of its own. */
static void on_info(const SSL *connection, int type, int value)
{
	struct tls_peer *peer = peer_of(connection);

	(void)value;
	if (!(type & SSL_CB_HANDSHAKE_START) || peer->kept.size == 0 || ssl.get_session(connection))
		return;
	const unsigned char *at = (const unsigned char *)peer->kept.data;
	SSL_SESSION *session = ssl.session_of_der(NULL, &at, (long)peer->kept.size);

	/* A ticket is offered once: RFC 8446, C.4. */
	wipe(&peer->kept);
	if (session && ssl.session_is_resumable(session)) {
		union {
			const SSL *given;
			SSL *changed;
		} same = {.given = connection};
		(void)ssl.set_session(same.changed, session);
	}
	ssl.session_free(session);
}

static int on_new_session(SSL *connection, SSL_SESSION *session)
{
	struct tls_peer *peer = peer_of(connection);
	int size = ssl.session_to_der(session, NULL);

	if (size > 0 && size <= SESSION_LIMIT) {
		wipe(&peer->new_one);
		unsigned char *at = (unsigned char *)buf_reserve(&peer->new_one, (size_t)size);

		peer->new_one.size = (size_t)ssl.session_to_der(session, &at);
	}
	/* 0: we hold no reference; libcurl says whether it does. */
	return peer->others ? peer->others(connection, session) : 0;
}

int tls_sessions_prepare(void *curl, void *ssl_context, void *context)
{
	struct tls_peer *peer = context;

	(void)curl;
	peer->others = ssl.ctx_sess_get_new_cb(ssl_context);
	if (ssl.ctx_set_ex_data(ssl_context, 0, peer) != 1)
		return 0;
	ssl.ctx_sess_set_new_cb(ssl_context, on_new_session);
	ssl.ctx_set_info_callback(ssl_context, on_info);
	return 0;
}

void tls_sessions_keep(struct tls_peer *peer)
{
	scoped(text_free) char *folder = NULL;
	struct error ignored = {0};

	if (!peer || peer->new_one.size == 0)
		return;
	folder = memory_copy(peer->path, (size_t)(strrchr(peer->path, '/') - peer->path));
	if (!folder_make(folder, 0700, &ignored) ||
		!file_write(peer->path, buf_str(&peer->new_one), 0600, false, &ignored))
		error_ignore(&ignored, "the next run agrees on a new one");
	wipe(&peer->new_one);
}
