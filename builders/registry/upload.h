/*
 * upload.h - blobs into a repository, side by side, each on its own upload_course.h.
 *
 * Each POST asks to mount the blob from a repository that may have it, first of all from this one: a
 * registry that has it answers 201, which spares the HEAD that others send first.
 */
#ifndef BUILDERS_REGISTRY_UPLOAD_H
#define BUILDERS_REGISTRY_UPLOAD_H

#include "builders/registry/session.h"
#include "builders/registry/upload_course.h"

enum upload_state {
	UPLOAD_OPEN,
	UPLOAD_EXISTED,
	UPLOAD_MOUNTED,
	UPLOAD_SENT,
};

struct upload {
	struct digest digest;
	int64_t size_bytes;
	const char *mount_from; /* repository that may have it; NULL: this one */
	/* Opens the content for reading; called once per attempt, the descriptor is closed after it. */
	bool (*open)(void *context, const struct upload *upload, int *out_fd, struct error *err);
	void *context;
	/* The repository that has the blob: it streams from there, and open() is only for what a stream
	 * cannot do (pieces). NULL: open() gives it. */
	struct session *stream_from;
	enum upload_state state; /* the result */
	/* registry_upload's own */
	struct upload_course course;
	char *location; /* owned: where the session is, without a digest */
};
void upload_free(struct upload *upload);

/*
 * Brings blobs into the repository. What fails is tried again, five times without progress.
 *
 * out_repository_missing  set (with a false return, ERROR_NOT_FOUND) when it must be created first
 */
bool registry_upload(struct session *session, struct upload *uploads, size_t count,
	bool *out_repository_missing, struct error *err) must_use;

#endif
