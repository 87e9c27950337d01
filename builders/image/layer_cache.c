#include "builders/image/layer_cache.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOB_LIMIT = 256 };

struct layer_cache layer_cache_of(const char *folder)
{
	return (struct layer_cache){.folder = memory_copy_text(folder)};
}

void layer_cache_free(struct layer_cache *cache)
{
	text_free(&cache->folder);
}

static char *path_of(const struct layer_cache *cache, const char *part, const struct digest *digest)
{
	char hex[DIGEST_HEX_SIZE];

	digest_to_hex(digest, hex);
	return memory_format("%s/%s/%s", cache->folder, part, hex);
}

/* "DIGEST DIFF_ID SIZE DIFF_SIZE" */
static bool parse_record(struct str text, struct packed *out)
{
	struct str rest = str_trim(text);

	return digest_parse(str_cut(&rest, ' '), &out->digest) &&
	       digest_parse(str_cut(&rest, ' '), &out->diff_id) &&
	       str_to_int(str_cut(&rest, ' '), &out->size_bytes) &&
	       str_to_int(rest, &out->diff_bytes);
}

/* A blob here shares its bytes with those in layouts, where somebody may write to it. Its time of
 * content is set to this one, so that such a write shows. */
static const struct timespec untouched = {.tv_sec = 946684800}; /* 2000-01-01 */

static bool is_untouched(const char *path, int64_t size_bytes)
{
	struct stat status;

	return stat(path, &status) == 0 && status.st_size == size_bytes &&
	       status.st_mtim.tv_sec == untouched.tv_sec &&
	       status.st_mtim.tv_nsec == untouched.tv_nsec;
}

/* Used now. */
static void touch(const char *path)
{
	const struct timespec times[] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};

	utimensat(AT_FDCWD, path, times, 0);
}

/* A second name for the same bytes where the file system allows it, else a copy. */
static bool share(const char *from, const char *to, struct error *err)
{
	uint64_t random;

	if (link(from, to) == 0)
		return true;
	random_bytes(&random, sizeof(random));
	scoped(text_free) char *temporary =
		memory_format("%s.new-%016llx", to, (unsigned long long)random);
	if (!file_copy(from, temporary, err))
		return false;
	if (rename(temporary, to) == 0)
		return true;
	error_raise_errno(err, "rename \"%s\"", temporary);
	unlink(temporary);
	return false;
}

bool layer_cache_take(const struct layer_cache *cache, const struct digest *key,
	const struct layout *layout, struct packed *out_packed)
{
	scoped(text_free) char *record = path_of(cache, "keys", key);
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};
	struct packed packed = {0};

	if (!file_read(record, 1024, &text, &err)) {
		error_ignore(&err, "it was never stored");
		return false;
	}
	if (!parse_record(buf_str(&text), &packed))
		return false;
	scoped(text_free) char *blob = path_of(cache, "blobs", &packed.digest);
	if (!is_untouched(blob, packed.size_bytes))
		return false;
	if (!layout_has_blob(layout, &packed.digest, packed.size_bytes)) {
		scoped(text_free) char *target = layout_blob_path(layout, &packed.digest);
		unlink(target); /* of another size, so no such blob */
		if (!share(blob, target, &err)) {
			log_trace("image", "cached layer not used: %s", err.message);
			error_ignore(&err, "the layer is made again");
			return false;
		}
	}
	touch(blob);
	log_trace("image", "layer taken from %s", record);
	*out_packed = packed;
	return true;
}

struct aged {
	char *path;
	int64_t used_s;
};

static int by_age(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	return (x->used_s > y->used_s) - (x->used_s < y->used_s);
}

/* Removes what was unused for longest. Keys without a blob do no harm: they find nothing; they go
 * with the same rule. */
static void prune(const struct layer_cache *cache, const char *part, size_t limit)
{
	scoped(text_free) char *folder = memory_format("%s/%s", cache->folder, part);
	struct strings names = {0};
	struct error err = {0};

	if (!folder_list(folder, &names, &err)) {
		error_ignore(&err, "nothing to remove");
		return;
	}
	if (names.count > limit) {
		struct aged *files = memory_new_array(names.count, sizeof(*files));
		for (size_t i = 0; i < names.count; i++) {
			struct stat status = {0};
			files[i].path = memory_format("%s/%s", folder, names.items[i]);
			if (stat(files[i].path, &status) == 0)
				files[i].used_s = status.st_atime;
		}
		qsort(files, names.count, sizeof(*files), by_age);
		for (size_t i = 0; i < names.count; i++) {
			if (i < names.count - limit)
				unlink(files[i].path);
			free(files[i].path);
		}
		free(files);
	}
	strings_free(&names);
}

static bool store(const struct layer_cache *cache, const struct digest *key,
	const struct layout *layout, const struct packed *packed, struct error *err)
{
	scoped(text_free) char *record = path_of(cache, "keys", key);
	scoped(text_free) char *blob = path_of(cache, "blobs", &packed->digest);
	scoped(text_free) char *source = layout_blob_path(layout, &packed->digest);
	scoped(text_free) char *keys = memory_format("%s/keys", cache->folder);
	scoped(text_free) char *blobs = memory_format("%s/blobs", cache->folder);
	scoped(buf_free) struct buf text = {0};
	char digest[DIGEST_TEXT_SIZE], diff_id[DIGEST_TEXT_SIZE];

	if (!folder_make(keys, 0700, err) || !folder_make(blobs, 0700, err))
		return false;
	if (!is_untouched(blob, packed->size_bytes)) {
		const struct timespec times[] = {{.tv_nsec = UTIME_NOW}, untouched};

		unlink(blob);
		prune(cache, "blobs", BLOB_LIMIT - 1);
		prune(cache, "keys", 4 * BLOB_LIMIT);
		if (!share(source, blob, err))
			return false;
		utimensat(AT_FDCWD, blob, times, 0);
	}
	digest_to_text(&packed->digest, digest);
	digest_to_text(&packed->diff_id, diff_id);
	buf_printf(&text, "%s %s %lld %lld\n", digest, diff_id, (long long)packed->size_bytes,
		(long long)packed->diff_bytes);
	return file_write(record, buf_str(&text), 0600, false, err);
}

bool layer_cache_has_note(const struct layer_cache *cache, const struct digest *note)
{
	scoped(text_free) char *path = path_of(cache, "notes", note);

	return utimensat(AT_FDCWD, path, NULL, 0) == 0; /* used now */
}

static bool put_note(const struct layer_cache *cache, const struct digest *note, struct error *err)
{
	scoped(text_free) char *path = path_of(cache, "notes", note);
	scoped(text_free) char *notes = memory_format("%s/notes", cache->folder);

	if (!folder_make(notes, 0700, err))
		return false;
	prune(cache, "notes", 8 * BLOB_LIMIT);
	return file_write(path, (struct str){0}, 0600, false, err);
}

void layer_cache_put_note(const struct layer_cache *cache, const struct digest *note)
{
	struct error err = {0};

	if (put_note(cache, note, &err))
		return;
	log_trace("image", "not noted: %s", err.message);
	error_ignore(&err, "the cache is optional");
}

bool layer_cache_secret(const struct layer_cache *cache, struct digest *out_secret)
{
	scoped(text_free) char *path = memory_format("%s/secret", cache->folder);
	scoped(buf_free) struct buf text = {0};
	struct error err = {0};

	if (file_read(path, DIGEST_SIZE, &text, &err) && text.size == DIGEST_SIZE) {
		memcpy(out_secret->bytes, text.data, DIGEST_SIZE);
		return true;
	}
	error_ignore(&err, "made now");
	random_bytes(out_secret->bytes, DIGEST_SIZE);
	struct str bytes = {(const char *)out_secret->bytes, DIGEST_SIZE};
	if (folder_make(cache->folder, 0700, &err) && file_write(path, bytes, 0600, false, &err))
		return true;
	error_ignore(&err, "the cache is optional");
	return false;
}

void layer_cache_store(const struct layer_cache *cache, const struct digest *key,
	const struct layout *layout, const struct packed *packed)
{
	struct error err = {0};

	if (store(cache, key, layout, packed, &err))
		return;
	log_trace("image", "layer not kept: %s", err.message);
	error_ignore(&err, "the cache is optional");
}
