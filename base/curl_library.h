/*
 * curl_library.h - libcurl, loaded when the first request is made.
 *
 * Linked in the ordinary way its 32 libraries cost every start of every program of ours 3.3 ms
 * (measured; 0.6 ms without), and most of those starts make no request. So we compile against its
 * headers and look its functions up on first use. Only http_client.c and http_url.c include this.
 *
 * dogshore itself has libcurl's archive where there is one (curl_linked.c): a push of nothing new
 * takes 4.2 ms then instead of 7.7. Security updates reach it all the same: when the machine's
 * libcurl is no longer the one that dogshore was built beside, that one is loaded. So is one that
 * LD_LIBRARY_PATH or LD_PRELOAD may lead to, one in /usr/local, and that of a machine which has it
 * elsewhere.
 */
#ifndef BASE_CURL_LIBRARY_H
#define BASE_CURL_LIBRARY_H

#include "base/error.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

enum { CURL_BUILD_ID_SIZE = 20 };

#define CURL_FUNCTIONS(X)                                                                          \
	X(easy_cleanup)                                                                            \
	X(easy_getinfo)                                                                            \
	X(easy_init)                                                                               \
	X(easy_pause)                                                                              \
	X(easy_setopt)                                                                             \
	X(easy_strerror)                                                                           \
	X(free)                                                                                    \
	X(global_init)                                                                             \
	X(multi_add_handle)                                                                        \
	X(multi_cleanup)                                                                           \
	X(multi_info_read)                                                                         \
	X(multi_init)                                                                              \
	X(multi_perform)                                                                           \
	X(multi_poll)                                                                              \
	X(multi_remove_handle)                                                                     \
	X(multi_setopt)                                                                            \
	X(multi_strerror)                                                                          \
	X(slist_append)                                                                            \
	X(slist_free_all)                                                                          \
	X(url)                                                                                     \
	X(url_cleanup)                                                                             \
	X(url_get)                                                                                 \
	X(url_set)

/* curl.easy_init is curl_easy_init, and so on. */
struct curl_library {
#define CURL_MEMBER(name) __typeof__(curl_##name) *name;
	CURL_FUNCTIONS(CURL_MEMBER)
#undef CURL_MEMBER
};

extern struct curl_library curl;

/*
 * The archive's functions, and the shared library that they are the same code as: by its build id,
 * which its first page has. Times and sizes would not do: images that are made reproducibly give all
 * files one time, and a small correction leaves a library's size.
 */
struct curl_linked {
	struct curl_library functions;
	const char *beside; /* its path */
	unsigned char build_id[CURL_BUILD_ID_SIZE];
};

/* Of programs that have the archive; of others its address is NULL. */
extern const struct curl_linked curl_linked __attribute__((weak));

/* Loads and initialises libcurl; again is free. From any thread. ERROR_NOT_FOUND when the library
 * is not installed. */
bool curl_library_load(struct error *err) must_use;

#endif
