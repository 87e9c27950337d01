#include "pipeline/source/git.h"

#include "base/digest.h"
#include "base/memory.h"

#include <dlfcn.h>
#include <stdlib.h>

/*
 * Debian's libgit2 parses the whole CA bundle when it starts: 3.5 of its 4 ms, for nothing unless
 * somebody speaks https. A program's own symbols come before those of libraries, so this function
 * stands in for mbedtls's: it notes the bundle and reads nothing until it is wanted. A libgit2 with
 * another TLS library never calls it.
 */
__attribute__((visibility("default"))) int mbedtls_x509_crt_parse_file(void *chain,
	const char *path);

static char *bundle; /* owned, for the life of the process: set once by git_start() */
static bool wanted;

int mbedtls_x509_crt_parse_file(void *chain, const char *path)
{
	int (*real)(void *, const char *) = NULL;

	if (!wanted) {
		if (!bundle)
			bundle = memory_copy_text(path);
		return 0;
	}
	/* As dlsym(3) advises, because ISO C has no cast from object to function pointers. */
	*(void **)(&real) = dlsym(RTLD_NEXT, "mbedtls_x509_crt_parse_file");
	return real ? real(chain, path) : -1;
}

/* A process that serves for months must not keep every tree it ever saw (256 MB by default). */
enum { CACHE_BYTES_MAX = 8 * 1024 * 1024 };

bool git_start(struct error *err)
{
	static bool started;

	if (started)
		return true;
	digest_load();
	if (git_libgit2_init() < 0 ||
		git_libgit2_opts(GIT_OPT_SET_CACHE_MAX_SIZE, (ssize_t)CACHE_BYTES_MAX) < 0)
		return git_raise(err, GIT_ERROR, "start libgit2");
	started = true;
	return true;
}

bool git_load_certificates(struct error *err)
{
	if (wanted || !bundle)
		return true;
	wanted = true;
	int code = git_libgit2_opts(GIT_OPT_SET_SSL_CERT_LOCATIONS, bundle, NULL);

	return code >= 0 || git_raise(err, code, "read the certificates in \"%s\"", bundle);
}

static enum error_kind kind_of(int code)
{
	switch (code) {
	case GIT_ENOTFOUND:
	case GIT_EUNBORNBRANCH:
		return ERROR_NOT_FOUND;
	case GIT_EAMBIGUOUS:
	case GIT_EINVALIDSPEC:
		return ERROR_USAGE;
	case GIT_EAUTH:
	case GIT_ECERTIFICATE:
	case GIT_EOWNER:
		return ERROR_DENIED;
	case GIT_ELOCKED:
	case GIT_EEXISTS:
	case GIT_EMODIFIED:
		return ERROR_CONFLICT;
	default:
		return ERROR_SYSTEM;
	}
}

bool git_raise(struct error *err, int code, const char *format, ...)
{
	const git_error *last = git_error_last();
	enum error_kind kind = kind_of(code);
	va_list args;

	if (kind == ERROR_SYSTEM && last &&
		(last->klass == GIT_ERROR_NET || last->klass == GIT_ERROR_HTTP))
		kind = ERROR_UNAVAILABLE;
	if (kind == ERROR_SYSTEM && last &&
		(last->klass == GIT_ERROR_ODB || last->klass == GIT_ERROR_ZLIB))
		kind = ERROR_INVALID;
	va_start(args, format);
	scoped(text_free) char *action = memory_format_list(format, args);
	va_end(args);
	error_raise(err, kind, "%s: %s", action,
		last && last->message ? last->message : "libgit2 gives no reason");
	if (code == GIT_EOWNER)
		error_next(err,
			"it belongs to another user; if you trust it: git config --global --add "
			"safe.directory FOLDER");
	return false;
}

/* libgit2 1.5 forgets to free what it compares names of settings with, once per fetch. Our own
 * memory stays under watch. */
#if defined(__SANITIZE_ADDRESS__)
#define WATCHES_LEAKS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WATCHES_LEAKS 1
#endif
#endif
#ifdef WATCHES_LEAKS
const char *__lsan_default_suppressions(void);
__attribute__((weak, visibility("default"))) const char *__lsan_default_suppressions(void)
{
	return "leak:libpcre2\n";
}
#endif
