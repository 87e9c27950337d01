#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "builders/store/store_inside.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { USED_LIMIT = 64 };

/* Tenths of the limit that are left after removing, so that it is not done for every build. */
enum { LEFT_TENTHS = 9 };

static int64_t read_used(const char *path)
{
	scoped(buf_free) struct buf text = {0};
	scoped(error_free) struct error err = {0};
	int64_t used = 0;

	if (!file_read(path, USED_LIMIT, &text, &err)) {
		error_ignore(&err, "nothing was counted yet");
		return 0;
	}
	return str_to_int(str_trim(buf_str(&text)), &used) ? used : 0;
}

static bool write_used(const char *path, int64_t used, struct error *err)
{
	scoped(text_free) char *text = memory_format("%lld\n", (long long)used);

	return file_write(path, str_of(text), 0600, false, err);
}

bool store_add_used(const struct store *store, int64_t size_bytes, bool *out_full,
	struct error *err)
{
	scoped(text_free) char *path = path_join(store->folder, "used");
	scoped(text_free) char *lock_path = path_join(store->folder, "used.lock");
	scoped(descriptor_close) int lock = -1;

	*out_full = false;
	if (!size_bytes)
		return true;
	if (!file_lock(lock_path, true, &lock, err))
		return false;
	int64_t used = read_used(path) + size_bytes;

	*out_full = used > store->limit_bytes;
	return write_used(path, used, err);
}

/* A blob that entries have. */
struct held {
	struct digest digest;
	int64_t size_bytes;
};

struct aged {
	char *path; /* owned */
	struct store_entry entry;
	int64_t used_ns;
};

struct pruning {
	const struct store *store;
	struct aged *entries; /* owned; those used last first */
	size_t count, kept;
	struct held *held; /* owned; of the entries that stay, sorted */
	size_t held_count;
	int64_t bytes;
};

static void pruning_free(struct pruning *pruning)
{
	for (size_t i = 0; i < pruning->count; i++) {
		free(pruning->entries[i].path);
		store_entry_free(&pruning->entries[i].entry);
	}
	free(pruning->entries);
	free(pruning->held);
}

static int youngest_first(const void *a, const void *b)
{
	const struct aged *x = a, *y = b;

	return (x->used_ns < y->used_ns) - (x->used_ns > y->used_ns);
}

static bool read_entries(struct pruning *pruning, struct error *err)
{
	scoped(text_free) char *folder = path_join(pruning->store->folder, "entries");
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(folder, &names, err))
		return false;
	pruning->entries = memory_new_array(names.count + 1, sizeof(*pruning->entries));
	for (size_t i = 0; i < names.count; i++) {
		struct aged *aged = &pruning->entries[pruning->count];
		struct stat status = {0};

		aged->path = path_join(folder, names.items[i]);
		/* Half-written ones of killed processes begin with a dot. */
		if (stat(aged->path, &status) != 0 || *names.items[i] == '.' ||
			!store_entry_read(aged->path, &aged->entry)) {
			bool gone = file_remove(aged->path, err);

			text_free(&aged->path);
			if (!gone)
				return false;
			continue;
		}
		aged->used_ns = status.st_mtim.tv_sec * 1000000000ll + status.st_mtim.tv_nsec;
		pruning->count++;
	}
	if (pruning->count)
		qsort(pruning->entries, pruning->count, sizeof(*pruning->entries), youngest_first);
	return true;
}

/* Where the digest is, or would be. */
static size_t place_of(const struct pruning *pruning, const struct digest *digest)
{
	size_t low = 0, high = pruning->held_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(&pruning->held[middle].digest, digest, sizeof(*digest)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_held(const struct pruning *pruning, const struct digest *digest)
{
	size_t at = place_of(pruning, digest);

	return at < pruning->held_count &&
	       memcmp(&pruning->held[at].digest, digest, sizeof(*digest)) == 0;
}

static int by_digest(const void *a, const void *b)
{
	return memcmp(&((const struct held *)a)->digest, &((const struct held *)b)->digest,
		sizeof(struct digest));
}

/* Both are sorted, and there is room: from the end, so that nothing is overwritten too early. */
static void merge(struct pruning *pruning, const struct held *more, size_t count)
{
	size_t at = pruning->held_count + count, i = pruning->held_count;

	pruning->held_count = at;
	while (count > 0)
		pruning->held[--at] =
			i > 0 && by_digest(&pruning->held[i - 1], &more[count - 1]) > 0
				? pruning->held[--i]
				: more[--count];
}

/* What the entry needs besides what those before it have; they join the held ones when it fits. */
static bool take(struct pruning *pruning, const struct store_entry *entry, int64_t room)
{
	struct held *more = memory_new_array(entry->count + 1, sizeof(*more));
	size_t count = 0, unique = 0;
	int64_t bytes = 0;

	for (size_t i = 0; i < entry->count; i++)
		if (entry->files[i].kind == STORE_FILE &&
			!is_held(pruning, &entry->files[i].digest))
			more[count++] =
				(struct held){entry->files[i].digest, entry->files[i].size_bytes};
	if (count)
		qsort(more, count, sizeof(*more), by_digest);
	for (size_t i = 0; i < count; i++)
		if (!unique || by_digest(&more[unique - 1], &more[i]) != 0) {
			more[unique++] = more[i];
			bytes += more[i].size_bytes;
		}
	bool fits = pruning->bytes + bytes <= room;

	if (fits && unique) {
		pruning->held = memory_resize(pruning->held,
			(pruning->held_count + unique) * sizeof(*pruning->held));
		merge(pruning, more, unique);
		pruning->bytes += bytes;
	}
	free(more);
	return fits;
}

/* The entries go first: an entry without blobs would be a miss that is told. */
static bool remove_entries(struct pruning *pruning, struct error *err)
{
	int64_t room = pruning->store->limit_bytes / 10 * LEFT_TENTHS;

	/* The newest stays in any case, or a large build would be made again and again. */
	while (pruning->kept < pruning->count &&
		take(pruning, &pruning->entries[pruning->kept].entry,
			pruning->kept ? room : pruning->store->limit_bytes))
		pruning->kept++;
	for (size_t i = pruning->kept; i < pruning->count; i++)
		if (!file_remove(pruning->entries[i].path, err))
			return false;
	return true;
}

static bool remove_blobs_in(const struct pruning *pruning, const char *folder, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(folder, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(folder, names.items[i]);
		scoped(text_free) char *text = memory_format("sha256:%s", names.items[i]);
		struct digest digest;

		if (digest_parse(str_of(text), &digest) && is_held(pruning, &digest))
			continue;
		if (!file_remove(path, err))
			return false;
	}
	return true;
}

static bool remove_blobs(const struct pruning *pruning, struct error *err)
{
	scoped(text_free) char *blobs = path_join(pruning->store->folder, "blobs");
	scoped(strings_free) struct strings names = {0};

	if (!folder_list(blobs, &names, err))
		return false;
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(blobs, names.items[i]);
		bool done = file_is_folder(path) ? remove_blobs_in(pruning, path, err)
						 : file_remove(path, err);

		if (!done)
			return false;
	}
	return true;
}

bool store_prune(const struct store *store, struct error *err)
{
	scoped(pruning_free) struct pruning pruning = {.store = store};
	scoped(text_free) char *path = path_join(store->folder, "used");
	scoped(descriptor_close) int lock = -1;

	return store_lock(store, true, &lock, err) && read_entries(&pruning, err) &&
	       remove_entries(&pruning, err) && remove_blobs(&pruning, err) &&
	       write_used(path, pruning.bytes, err);
}
