/*
 * uploads.h - blobs on their way in, over several requests: /v2/'s uploads and ECR's layer parts.
 *
 *     uploads_start -> take, take, … -> settle -> commit      (or drop at any time)
 *
 * An upload is a file named by its id and repository, so that it outlives the process: an id that
 * is asked for after a restart is found again with the bytes it has on disk. Those are hashed again
 * by the threads of blob_writer.h, as they receive more.
 *
 * Limits  1000 uploads at once; an hour without a byte ends one.
 */
#ifndef DEPLOYERS_LOCAL_UPLOADS_H
#define DEPLOYERS_LOCAL_UPLOADS_H

#include "base/digest.h"
#include "deployers/local/cloud.h"

struct uploads; /* of one cloud; in cloud->uploads */
struct upload;

enum { UPLOADS_MAX = 1000 };

struct uploads *uploads_new(struct cloud *cloud) must_use;
void uploads_free(struct uploads **uploads); /* what is unfinished stays on disk */

/*
 * repository  that the blob is for
 * kind        the digest that is expected; another one costs hashing again
 * named       it may be asked for by its id; false: it ends with its request
 * Fails with  ERROR_LIMIT (1000 are open), ERROR_SYSTEM.
 */
bool uploads_start(struct uploads *uploads, const char *repository, enum digest_kind kind,
	bool named, struct upload **out_upload, struct error *err) must_use;
/* NULL: there is none of that id in that repository. */
struct upload *uploads_find(struct uploads *uploads, const char *repository, const char *id);

/* Before old files are collected: those of open uploads are young, however slowly they grow. */
void uploads_touch(struct uploads *uploads);

const char *upload_id(const struct upload *upload);
const char *upload_repository(const struct upload *upload);
int64_t upload_size(const struct upload *upload); /* taken so far */
/* Between set_busy(true) and set_busy(false) one request owns it. */
bool upload_is_busy(const struct upload *upload);
void upload_set_busy(struct upload *upload, bool busy);

void upload_take(struct upload *upload, const void *bytes, size_t size);
bool upload_is_behind(const struct upload *upload);
void upload_when_ready(struct upload *upload, void (*ready)(void *context), void *context);
/* done: everything taken is in the file, where a kill does not reach it; or could not be written
 * (err is borrowed), then the upload can only be dropped. May be called before this returns. */
void upload_settle(struct upload *upload, void (*done)(void *context, const struct error *err),
	void *context);
/* Writes and hashes here and now, for callers that cannot wait; while settled. */
bool upload_keep_now(struct upload *upload, struct str bytes, struct error *err) must_use;
/* To be called while nothing was taken yet or while settled: which digest will be expected. The
 * upload must settle again afterwards. */
void upload_expect(struct upload *upload, enum digest_kind kind);

/* While settled: gives the blob its name; ends the upload. ERROR_INVALID: the digest is another.
 * expected NULL: any. */
bool upload_commit(struct upload **upload, const char *expected, char out_name[DIGEST_NAME_SIZE],
	struct error *err) must_use;
void upload_drop(struct upload **upload);

#endif
