/*
 * archive_library.h - libarchive, loaded when the first archive is read.
 *
 * Linked in the ordinary way it and its dependencies (libxml2, ICU and the C++ library among them)
 * cost every start of every program of ours 1.8 ms (measured), and few commands read archives. As
 * with libcurl (base/curl_library.h) we compile against its headers and look its functions up. Only
 * the readers of layers include this: builders/image/foreign_layer.c, which rewrites them,
 * builders/image/archive_compare.c, which compares them, and deployers/local/layer_unpack.c, which
 * unpacks them.
 */
#ifndef BASE_ARCHIVE_LIBRARY_H
#define BASE_ARCHIVE_LIBRARY_H

#include "base/error.h"

#include <archive.h>
#include <archive_entry.h>

#define ARCHIVE_FUNCTIONS(X)                                                                       \
	X(entry_filetype)                                                                          \
	X(entry_gid)                                                                               \
	X(entry_hardlink)                                                                          \
	X(entry_mtime)                                                                             \
	X(entry_pathname)                                                                          \
	X(entry_perm)                                                                              \
	X(entry_set_hardlink)                                                                      \
	X(entry_set_pathname)                                                                      \
	X(entry_size)                                                                              \
	X(entry_sparse_count)                                                                      \
	X(entry_symlink)                                                                           \
	X(entry_uid)                                                                               \
	X(entry_xattr_add_entry)                                                                   \
	X(entry_xattr_clear)                                                                       \
	X(entry_xattr_next)                                                                        \
	X(entry_xattr_reset)                                                                       \
	X(error_string)                                                                            \
	X(read_data)                                                                               \
	X(read_data_block)                                                                         \
	X(read_free)                                                                               \
	X(read_new)                                                                                \
	X(read_next_header)                                                                        \
	X(read_open)                                                                               \
	X(read_open_fd)                                                                            \
	X(read_support_filter_gzip)                                                                \
	X(read_support_filter_zstd)                                                                \
	X(read_support_format_empty)                                                               \
	X(read_support_format_raw)                                                                 \
	X(read_support_format_tar)                                                                 \
	X(set_error)                                                                               \
	X(write_close)                                                                             \
	X(write_data_block)                                                                        \
	X(write_disk_new)                                                                          \
	X(write_disk_set_options)                                                                  \
	X(write_finish_entry)                                                                      \
	X(write_free)                                                                              \
	X(write_header)

/* libarchive.read_new is archive_read_new, and so on. */
struct archive_library {
#define ARCHIVE_MEMBER(name) __typeof__(archive_##name) *name;
	ARCHIVE_FUNCTIONS(ARCHIVE_MEMBER)
#undef ARCHIVE_MEMBER
	__typeof__(archive_errno) *error_number; /* "errno" is a macro */
};

extern struct archive_library libarchive;

/* Loads libarchive; again is free. From any thread. ERROR_NOT_FOUND when it is not installed. */
bool archive_library_load(struct error *err) must_use;

#endif
