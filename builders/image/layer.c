#include "builders/image/layer.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "builders/image/tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void layer_free(struct layer *layer)
{
	strings_free(&layer->packages);
	*layer = (struct layer){0};
}

/* One line of the archive: an entry, or a folder that is only implied by a path below it. */
struct item {
	const char *path;               /* borrowed from the tree or the arena */
	const struct tree_entry *entry; /* NULL: an implied folder */
};

struct listing {
	struct item *items; /* owned */
	size_t count, capacity;
	struct arena arena; /* paths of implied folders */
};

static void listing_free(struct listing *list)
{
	free(list->items);
	arena_free(&list->arena);
}

static void push(struct listing *list, const char *path, const struct tree_entry *entry)
{
	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 64;
		list->items = memory_resize(list->items, list->capacity * sizeof(list->items[0]));
	}
	list->items[list->count++] = (struct item){path, entry};
}

/* A folder's mode is the same in every layer, so it comes from the tree wherever it was added. */
static void push_parents(struct listing *list, const struct tree *tree, const char *path,
	const char *previous)
{
	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		size_t size = (size_t)(slash - path);

		if (previous && strncmp(previous, path, size + 1) == 0)
			continue; /* pushed for the entry before */
		char *folder = arena_copy(&list->arena, path, size);
		const struct tree_entry *entry = tree_find(tree, folder);
		push(list, folder, entry && entry->kind == ENTRY_FOLDER ? entry : NULL);
	}
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct item *)a)->path, ((const struct item *)b)->path);
}

/* What the layer holds, sorted, each path once. */
static void list_part(const struct tree *tree, const struct layer_part *part, struct listing *list)
{
	const char *previous = NULL;
	size_t kept = 0;

	for (size_t i = 0; i < part->count; i++) {
		const struct tree_entry *entry = &tree->entries[part->entries[i]];
		push_parents(list, tree, entry->path, previous);
		push(list, entry->path, entry);
		previous = entry->path;
	}
	if (list->count > 0)
		qsort(list->items, list->count, sizeof(list->items[0]), by_path);
	for (size_t i = 0; i < list->count; i++) {
		if (kept > 0 && strcmp(list->items[kept - 1].path, list->items[i].path) == 0) {
			if (!list->items[kept - 1].entry)
				list->items[kept - 1].entry = list->items[i].entry;
			continue;
		}
		list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

static void hash_text(struct hasher *hasher, const char *text)
{
	hasher_add(hasher, text ? text : "", text ? strlen(text) + 1 : 1);
}

/* What the layer is made from, without reading any file. */
static struct digest key_of_inputs(const struct listing *list, const struct layer_options *options)
{
	struct hasher *hasher = hasher_new();

	hash_text(hasher, "layer by files 1");
	hash_text(hasher, compression_identity(options->compression));
	hasher_add(hasher, &options->modified_s, sizeof(options->modified_s));
	for (size_t i = 0; i < list->count; i++) {
		const struct tree_entry *entry = list->items[i].entry;

		hash_text(hasher, list->items[i].path);
		if (!entry)
			continue;
		uint32_t form[2] = {(uint32_t)entry->kind, entry->mode};
		hasher_add(hasher, form, sizeof(form));
		hash_text(hasher, entry->target);
		hasher_add(hasher, &entry->identity, sizeof(entry->identity));
		hasher_add(hasher, &entry->size_bytes, sizeof(entry->size_bytes));
		if (entry->content)
			hasher_add(hasher, entry->content, (size_t)entry->size_bytes);
	}
	struct digest key = hasher_finish(hasher);
	hasher_free(&hasher);
	return key;
}

static struct digest key_of_content(const struct digest *diff_id, enum compression compression)
{
	struct hasher *hasher = hasher_new();

	hash_text(hasher, "layer by content 1");
	hash_text(hasher, compression_identity(compression));
	hasher_add(hasher, diff_id->bytes, sizeof(diff_id->bytes));
	struct digest key = hasher_finish(hasher);
	hasher_free(&hasher);
	return key;
}

/* Would a change made from now on show in the times of every file? */
static bool all_quiet(const struct listing *list)
{
	struct timespec now;

	/* The coarse clock is the one that files are stamped with. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	int64_t limit = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec - LAYER_CACHE_QUIET_NS;
	for (size_t i = 0; i < list->count; i++) {
		const struct tree_entry *entry = list->items[i].entry;
		if (entry && entry->source && entry->identity.changed_ns > limit)
			return false;
	}
	return true;
}

static bool raise_changed(const struct tree_entry *entry, struct error *err)
{
	error_raise(err, ERROR_CONFLICT, "\"%s\" changed while the image was being built",
		entry->source);
	return error_next(err, "build the image when nothing writes to its files any more");
}

/* Passes a file's content to the packer, the fence or both. */
static bool pass_file(struct packer *packer, struct leak_fence *fence,
	const struct tree_entry *entry, struct error *err)
{
	char here[16 * 1024];
	scoped(descriptor_close) int fd = open(entry->source, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int64_t left = entry->size_bytes;

	if (fd < 0)
		return error_raise_errno(err, "open \"%s\"", entry->source);
	if (!tree_entry_is_unchanged(entry, fd))
		return raise_changed(entry, err);
	while (left > 0) {
		char *room = here;
		size_t size = sizeof(here);

		if (packer && !packer_room(packer, &room, &size, err))
			return false;
		ssize_t got = read(fd, room, (int64_t)size < left ? size : (size_t)left);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_raise_errno(err, "read \"%s\"", entry->source);
		if (got == 0)
			return raise_changed(entry, err);
		if (fence)
			leak_fence_feed(fence, room, (size_t)got);
		if (packer)
			packer_filled(packer, (size_t)got);
		left -= got;
	}
	return tree_entry_is_unchanged(entry, fd) || raise_changed(entry, err);
}

static bool pass_content(struct packer *packer, struct leak_fence *fence,
	const struct tree_entry *entry, struct error *err)
{
	bool done;

	if (fence)
		leak_fence_begin(fence, entry->path);
	if (entry->source) {
		done = pass_file(packer, fence, entry, err);
	} else {
		if (fence)
			leak_fence_feed(fence, entry->content, (size_t)entry->size_bytes);
		done = !packer ||
		       packer_add(packer, entry->content, (size_t)entry->size_bytes, err);
	}
	if (done && fence)
		leak_fence_end(fence);
	return done;
}

static const enum tar_kind tar_kinds[] = {
	[ENTRY_FOLDER] = TAR_FOLDER,
	[ENTRY_FILE] = TAR_FILE,
	[ENTRY_LINK] = TAR_LINK,
};

static bool pack_item(const struct layer_options *options, const struct item *item,
	struct buf *header, struct error *err)
{
	static const char zeros[TAR_BLOCK];
	static const struct tree_entry implied = {.kind = ENTRY_FOLDER, .mode = 0755};
	const struct tree_entry *entry = item->entry ? item->entry : &implied;
	struct packer *packer = options->packer;

	buf_clear(header);
	tar_append_header(header, &(struct tar_header){.path = item->path,
					  .kind = tar_kinds[entry->kind],
					  .mode = entry->mode,
					  .size_bytes = entry->size_bytes,
					  .target = entry->target,
					  .modified_s = options->modified_s});
	if (!packer_add(packer, header->data, header->size, err))
		return false;
	if (entry->kind != ENTRY_FILE)
		return true;
	if (!pass_content(packer, options->fence, entry, err))
		return false;
	return packer_add(packer, zeros, tar_padding(entry->size_bytes), err);
}

static bool pack_all(const struct listing *list, const struct layer_options *options,
	struct error *err)
{
	static const char zeros[TAR_END_SIZE];
	scoped(buf_free) struct buf header = {0};

	for (size_t i = 0; i < list->count; i++)
		if (!pack_item(options, &list->items[i], &header, err))
			return false;
	return packer_add(options->packer, zeros, sizeof(zeros), err);
}

/* What the cache notes of a layer in which nothing was found. */
static struct digest note_of(const struct layer_options *options, const struct digest *diff_id)
{
	unsigned char both[2 * DIGEST_SIZE];

	memcpy(both, options->fence_identity.bytes, DIGEST_SIZE);
	memcpy(both + DIGEST_SIZE, diff_id->bytes, DIGEST_SIZE);
	return digest_of(both, sizeof(both));
}

/* A layer from the cache was made when other secrets were looked for, or none: what it was made of is
 * read again, but not packed. */
static bool search_again(const struct listing *list, const struct layer_options *options,
	const struct digest *diff_id, struct error *err)
{
	struct digest note = note_of(options, diff_id);
	size_t before = leak_fence_count(options->fence);

	if (layer_cache_has_note(options->cache, &note))
		return true;
	log_trace("image", "layer of the cache is searched for secrets");
	for (size_t i = 0; i < list->count; i++) {
		const struct tree_entry *entry = list->items[i].entry;

		if (entry && entry->kind == ENTRY_FILE &&
			!pass_content(NULL, options->fence, entry, err))
			return false;
	}
	if (leak_fence_count(options->fence) == before)
		layer_cache_put_note(options->cache, &note);
	return true;
}

static void note_clean(bool clean, const struct layer_options *options,
	const struct digest *diff_id)
{
	if (!clean || !options->fence || !options->cache)
		return;
	struct digest note = note_of(options, diff_id);
	layer_cache_put_note(options->cache, &note);
}

struct layer_work {
	const struct layer_options *options; /* borrowed, as the two below */
	const struct layout *layout;
	const struct layer_part *part;
	struct layer layer;
	struct layout_blob blob;
	struct digest key; /* of what it is made from */
	bool by_files;     /* there is such a key */
	bool packing;      /* the packer has the rest of it */
	bool clean;        /* no secret was found */
};

void layer_work_free(struct layer_work **work)
{
	if (!*work)
		return;
	layout_blob_discard(&(*work)->blob);
	layer_free(&(*work)->layer);
	free(*work);
	*work = NULL;
}

/* Gives all of it to the packer, unless it turns out to be known. */
static bool start(struct layer_work *work, const struct listing *list, struct error *err)
{
	const struct layer_options *options = work->options;
	struct digest diff_id, key;
	size_t before = options->fence ? leak_fence_count(options->fence) : 0;

	if (!layout_blob_create(work->layout, &work->blob, err))
		return false;
	packer_begin(options->packer, work->blob.fd, work->layout->path);
	if (!pack_all(list, options, err))
		return false;
	work->clean = !options->fence || leak_fence_count(options->fence) == before;
	if (!work->clean && leak_fence_refuses(options->fence))
		return true; /* the bytes go nowhere */
	if (options->cache && packer_peek(options->packer, &diff_id)) {
		key = key_of_content(&diff_id, options->compression);
		if (layer_cache_take(options->cache, &key, work->layout, &work->layer.packed)) {
			work->layer.reused = true;
			note_clean(work->clean, options, &diff_id);
			return true;
		}
	}
	work->packing = true;
	return packer_flush(options->packer, err);
}

static bool finish(struct layer_work *work, struct error *err)
{
	const struct layer_options *options = work->options;
	struct packed *packed = &work->layer.packed;

	if (!packer_finish(options->packer, packed, err) ||
		!layout_blob_commit(work->layout, &work->blob, &packed->digest, err))
		return false;
	if (options->cache) {
		struct digest key = key_of_content(&packed->diff_id, options->compression);
		layer_cache_store(options->cache, &key, work->layout, packed);
		note_clean(work->clean, options, &packed->diff_id);
	}
	return true;
}

bool layer_begin(const struct tree *tree, const struct layer_part *part,
	const struct layer_options *options, const struct layout *layout,
	struct layer_work **out_work, struct error *err)
{
	scoped(listing_free) struct listing list = {0};
	scoped(layer_work_free) struct layer_work *work = memory_new(sizeof(*work));
	struct layer *layer = &work->layer;

	*work = (struct layer_work){.options = options, .layout = layout, .part = part};
	*layer = (struct layer){.kind = part->kind,
		.compression = options->compression,
		.entry_count = part->count};
	list_part(tree, part, &list);
	work->by_files = options->cache && all_quiet(&list);
	if (work->by_files) {
		work->key = key_of_inputs(&list, options);
		layer->reused =
			layer_cache_take(options->cache, &work->key, layout, &layer->packed);
	}
	if (layer->reused && options->fence &&
		!search_again(&list, options, &layer->packed.diff_id, err))
		return error_while(err, "searching the layer \"%s\" for secrets",
			layer_kind_name(part->kind));
	if (!layer->reused && !start(work, &list, err))
		return error_while(err, "packing the layer \"%s\"", layer_kind_name(part->kind));
	*out_work = work;
	work = NULL;
	return true;
}

bool layer_end(struct layer_work **work, struct layer *out_layer, struct error *err)
{
	scoped(layer_work_free) struct layer_work *w = *work;
	bool found = w->layer.reused && !w->blob.fd; /* without reading it */

	*work = NULL;
	if (w->packing && !finish(w, err))
		return error_while(err, "packing the layer \"%s\"", layer_kind_name(w->part->kind));
	if (w->by_files && !found && w->layer.packed.size_bytes > 0)
		layer_cache_store(w->options->cache, &w->key, w->layout, &w->layer.packed);
	for (size_t i = 0; i < w->part->packages.count; i++)
		strings_add(&w->layer.packages, w->part->packages.items[i]);
	*out_layer = w->layer;
	w->layer = (struct layer){0};
	return true;
}
