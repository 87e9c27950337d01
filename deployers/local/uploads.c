#include "deployers/local/uploads.h"

#include "base/log.h"
#include "base/memory.h"
#include "deployers/local/blob_writer.h"
#include "deployers/local/content.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { IDLE_MS = 3600 * 1000, SWEEP_MS = 600 * 1000 };

struct upload {
	struct uploads *uploads;
	char id[UUID_TEXT_SIZE];
	char *repository; /* owned */
	struct new_blob blob;
	struct blob_writer *writer; /* owned */
	int64_t size_bytes, used_ms;
	bool busy;
	struct upload *following;
};

struct uploads {
	struct cloud *cloud; /* borrowed */
	struct writers *writers;
	struct upload *first; /* owned */
	size_t count;
	struct watch *sweeper; /* owned; drops uploads that nobody goes on with */
};

struct uploads *uploads_new(struct cloud *cloud)
{
	struct uploads *uploads = memory_new(sizeof(*uploads));

	uploads->cloud = cloud;
	uploads->writers = writers_new(cloud->loop);
	return uploads;
}

/* Takes it out of the list and frees it; its file stays or goes. */
static void end(struct upload *upload, bool keep_file)
{
	struct upload **link = &upload->uploads->first;

	while (*link != upload)
		link = &(*link)->following;
	*link = upload->following;
	upload->uploads->count--;
	blob_writer_free(&upload->writer);
	if (keep_file)
		text_free(&upload->blob.temporary);
	new_blob_discard(&upload->blob);
	free(upload->repository);
	free(upload);
}

void uploads_free(struct uploads **address)
{
	struct uploads *uploads = *address;

	if (!uploads)
		return;
	while (uploads->first) {
		struct upload *upload = uploads->first;

		/* Who waited for it may let go of it, or drop it. */
		blob_writer_cancel(upload->writer);
		if (uploads->first == upload)
			end(upload, true);
	}
	loop_remove(uploads->cloud->loop, &uploads->sweeper);
	writers_free(&uploads->writers);
	free(uploads);
	*address = NULL;
}

static void sweep(void *context)
{
	struct uploads *uploads = context;
	int64_t before = clock_elapsed(uploads->cloud->clock) - IDLE_MS;
	struct upload *next;

	for (struct upload *upload = uploads->first; upload; upload = next) {
		next = upload->following;
		if (!upload->busy && upload->used_ms < before) {
			log_trace("registry", "upload %s: nobody went on with it", upload->id);
			end(upload, false);
		}
	}
	if (uploads->first)
		watch_set_delay(uploads->sweeper, SWEEP_MS);
	else
		loop_remove(uploads->cloud->loop, &uploads->sweeper);
}

/* "<id>.<start of the repository's hash>": what a request names is enough to find it. */
static char *file_name(const char *id, const char *repository)
{
	struct digest digest = digest_of_str(str_of(repository));
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(&digest, hex);
	return memory_format("%s.%.16s", id, hex);
}

static struct upload *add(struct uploads *uploads, const char *repository, const char *id,
	struct new_blob *blob, struct blob_writer *writer)
{
	struct upload *upload = memory_new(sizeof(*upload));

	upload->uploads = uploads;
	upload->blob = *blob;
	*blob = (struct new_blob){0};
	upload->writer = writer;
	upload->size_bytes = upload->blob.size_bytes;
	upload->repository = memory_copy_text(repository);
	upload->used_ms = clock_elapsed(uploads->cloud->clock);
	memcpy(upload->id, id, sizeof(upload->id));
	upload->following = uploads->first;
	uploads->first = upload;
	uploads->count++;
	if (!uploads->sweeper)
		uploads->sweeper = loop_add_timer(uploads->cloud->loop, SWEEP_MS, sweep, uploads);
	return upload;
}

bool uploads_start(struct uploads *uploads, const char *repository, enum digest_kind kind,
	bool named, struct upload **out_upload, struct error *err)
{
	scoped(new_blob_discard) struct new_blob blob = {0};
	struct blob_writer *writer = NULL;
	char id[UUID_TEXT_SIZE];

	uuid_new(id);
	scoped(text_free) char *file = file_name(id, repository);

	if (uploads->count >= UPLOADS_MAX)
		return error_raise(err, ERROR_LIMIT, "%d uploads are open", UPLOADS_MAX);
	if (!new_blob_create(uploads->cloud->content, named ? file : NULL, &blob, err) ||
		!blob_writer_new(uploads->writers, blob.fd, kind, 0, &writer, err))
		return false;
	*out_upload = add(uploads, repository, id, &blob, writer);
	return true;
}

/* Nothing but what uuid_new() makes becomes part of a file's name. */
static bool is_id(const char *id)
{
	size_t i = 0;

	for (; id[i]; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool digit = (id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f');

		if (dash ? id[i] != '-' : !digit)
			return false;
	}
	return i == UUID_TEXT_SIZE - 1;
}

/* One that an earlier process left. */
static struct upload *revive(struct uploads *uploads, const char *repository, const char *id)
{
	scoped(new_blob_discard) struct new_blob blob = {0};
	scoped(text_free) char *file = file_name(id, repository);
	struct blob_writer *writer = NULL;
	struct error err = {0};

	if (uploads->count >= UPLOADS_MAX)
		return NULL;
	if (!new_blob_reopen(uploads->cloud->content, file, &blob, &err) ||
		!blob_writer_new(uploads->writers, blob.fd, DIGEST_SHA256, blob.size_bytes, &writer,
			&err)) {
		error_ignore(&err, "an upload that cannot be opened is none");
		/* It is not ours to remove. */
		text_free(&blob.temporary);
		return NULL;
	}
	log_trace("registry", "upload %s goes on at %lld", id, (long long)blob.size_bytes);
	return add(uploads, repository, id, &blob, writer);
}

struct upload *uploads_find(struct uploads *uploads, const char *repository, const char *id)
{
	for (struct upload *upload = uploads->first; upload; upload = upload->following)
		if (text_equal(upload->id, id))
			return text_equal(upload->repository, repository) ? upload : NULL;
	return is_id(id) ? revive(uploads, repository, id) : NULL;
}

void uploads_touch(struct uploads *uploads)
{
	for (struct upload *upload = uploads->first; upload; upload = upload->following)
		if (futimens(upload->blob.fd, NULL) < 0)
			log_trace("registry", "upload %s: its time cannot be set", upload->id);
}

const char *upload_id(const struct upload *upload)
{
	return upload->id;
}

const char *upload_repository(const struct upload *upload)
{
	return upload->repository;
}

int64_t upload_size(const struct upload *upload)
{
	return upload->size_bytes;
}

bool upload_is_busy(const struct upload *upload)
{
	return upload->busy;
}

void upload_set_busy(struct upload *upload, bool busy)
{
	upload->busy = busy;
	upload->used_ms = clock_elapsed(upload->uploads->cloud->clock);
}

void upload_take(struct upload *upload, const void *bytes, size_t size)
{
	blob_writer_take(upload->writer, bytes, size);
	upload->size_bytes += (int64_t)size;
}

bool upload_is_behind(const struct upload *upload)
{
	return blob_writer_is_behind(upload->writer);
}

void upload_when_ready(struct upload *upload, void (*ready)(void *context), void *context)
{
	blob_writer_when_ready(upload->writer, ready, context);
}

void upload_settle(struct upload *upload, void (*done)(void *context, const struct error *err),
	void *context)
{
	blob_writer_settle(upload->writer, done, context);
}

bool upload_keep_now(struct upload *upload, struct str bytes, struct error *err)
{
	upload->used_ms = clock_elapsed(upload->uploads->cloud->clock);
	if (!blob_writer_keep_now(upload->writer, bytes, err))
		return false;
	upload->size_bytes += (int64_t)bytes.size;
	return true;
}

void upload_expect(struct upload *upload, enum digest_kind kind)
{
	if (blob_writer_kind(upload->writer) != kind)
		blob_writer_rehash(upload->writer, kind);
}

bool upload_commit(struct upload **address, const char *expected, char out_name[DIGEST_NAME_SIZE],
	struct error *err)
{
	struct upload *upload = *address;
	char name[DIGEST_NAME_SIZE];
	bool ok;

	*address = NULL;
	blob_writer_name(upload->writer, name);
	upload->blob.size_bytes = upload->size_bytes;
	if (expected && !text_equal(name, expected))
		ok = error_raise(err, ERROR_INVALID, "the content's digest is %s, not %s", name,
			expected);
	else
		ok = new_blob_finish(upload->uploads->cloud->content, &upload->blob,
			upload->repository, name, err);
	if (ok)
		memcpy(out_name, name, sizeof(name));
	end(upload, false);
	return ok;
}

void upload_drop(struct upload **upload)
{
	end(*upload, false);
	*upload = NULL;
}
