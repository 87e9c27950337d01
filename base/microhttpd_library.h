/*
 * microhttpd_library.h - libmicrohttpd, loaded when the first server is started.
 *
 * Linked in the ordinary way it and GnuTLS behind it cost every start of every program of ours
 * 1.15 ms (measured), and few of those starts open a server. As with libcurl (curl_library.h) we
 * compile against its header and look its functions up. Only http_server.c and http_exchange.c
 * include this. A program that always serves links it too, then loading finds it there.
 */
#ifndef BASE_MICROHTTPD_LIBRARY_H
#define BASE_MICROHTTPD_LIBRARY_H

#include "base/error.h"

#include <microhttpd.h>

#define MICROHTTPD_FUNCTIONS(X)                                                                    \
	X(add_response_header)                                                                     \
	X(create_response_from_buffer)                                                             \
	X(create_response_from_callback)                                                           \
	X(create_response_from_fd_at_offset64)                                                     \
	X(destroy_response)                                                                        \
	X(get_connection_info)                                                                     \
	X(get_connection_values)                                                                   \
	X(get_daemon_info)                                                                         \
	X(get_timeout)                                                                             \
	X(get_version)                                                                             \
	X(lookup_connection_value)                                                                 \
	X(queue_response)                                                                          \
	X(quiesce_daemon)                                                                          \
	X(resume_connection)                                                                       \
	X(run)                                                                                     \
	X(start_daemon)                                                                            \
	X(stop_daemon)                                                                             \
	X(suspend_connection)

/* microhttpd.run is MHD_run, and so on. */
struct microhttpd_library {
#define MICROHTTPD_MEMBER(name) __typeof__(MHD_##name) *name;
	MICROHTTPD_FUNCTIONS(MICROHTTPD_MEMBER)
#undef MICROHTTPD_MEMBER
};

extern struct microhttpd_library microhttpd;

/* Loads libmicrohttpd; again is free. ERROR_NOT_FOUND when the library is not installed. */
bool microhttpd_library_load(struct error *err) must_use;

#endif
