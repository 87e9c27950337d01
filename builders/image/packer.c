#include "builders/image/packer.h"

#include "base/file.h"
#include "base/memory.h"

#include <libdeflate.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <zstd.h>

enum {
	BLOCK_SIZE = 256 << 10,
	OUT_SIZE = BLOCK_SIZE +
		   (16 << 10), /* over what either compressor makes at worst: 2 KiB more */
	SLOT_SIZE = BLOCK_SIZE + OUT_SIZE,
	SLOTS = 8,
	HELPER_LIMIT = 3,
	ZSTD_LEVEL = 3,
	GZIP_LEVEL = 6,
};

struct compression_row {
	const char *name, *media_type;
};

static const struct compression_row compressions[] = {
	[COMPRESSION_ZSTD] = {"zstd", "application/vnd.oci.image.layer.v1.tar+zstd"},
	[COMPRESSION_GZIP] = {"gzip", "application/vnd.oci.image.layer.v1.tar+gzip"},
	[COMPRESSION_NONE] = {"none", "application/vnd.oci.image.layer.v1.tar"},
};

bool compression_of_name(const char *name, enum compression *out_compression)
{
	for (size_t i = 0; i < countof(compressions); i++) {
		if (text_equal(compressions[i].name, name)) {
			*out_compression = (enum compression)i;
			return true;
		}
	}
	return false;
}

const char *compression_name(enum compression compression)
{
	return compressions[compression].name;
}

const char *compression_media_type(enum compression compression)
{
	return compressions[compression].media_type;
}

const char *packer_compressor(enum compression compression)
{
	static char zstd[64];

	switch (compression) {
	case COMPRESSION_ZSTD:
		snprintf(zstd, sizeof(zstd), "zstd %s level %d, blocks of %d", ZSTD_versionString(),
			ZSTD_LEVEL, BLOCK_SIZE);
		return zstd;
	case COMPRESSION_GZIP:
		return "libdeflate " LIBDEFLATE_VERSION_STRING " level 6, blocks of 262144";
	case COMPRESSION_NONE:
		break;
	}
	return "none";
}

/*
 * A slot goes round: filled by the owner -> (FULL) compressed by a helper or the owner -> (DONE)
 * written by the owner -> (EMPTY). Blocks take the slots in order, so they are written in order.
 */
enum slot_state {
	SLOT_EMPTY,
	SLOT_FULL,
	SLOT_TAKEN,
	SLOT_DONE,
};

struct slot {
	char *in, *out; /* in the packer's memory */
	size_t in_size, out_size;
	enum slot_state state; /* guarded by the packer's mutex */
};

/* What one thread compresses with. */
struct engine {
	ZSTD_CCtx *zstd;
	struct libdeflate_compressor *deflate;
};

struct packer {
	enum compression compression;
	int fd;
	const char *what;
	char *memory; /* owned mapping: in and out of every slot */
	struct slot slots[SLOTS];
	size_t filling; /* slot being filled */
	size_t writing; /* oldest slot that was not written yet; changed under the mutex */
	size_t waiting; /* slots submitted and not yet written; the owner's alone */
	struct hasher *diff_hasher, *blob_hasher;
	struct engine engine;
	struct packed packed;
	bool peeked; /* the diff_id is known and everything was hashed for it */

	/* Guards the states of the slots, taking and ending; helpers wait on work, the owner on done. */
	pthread_mutex_t mutex;
	pthread_cond_t work, done;
	pthread_t helpers[HELPER_LIMIT];
	struct engine engines[HELPER_LIMIT];
	size_t helper_count;
	bool all_started;
	bool flushes; /* packer_flush() is worth while */
	bool ending;
};

struct helper_start {
	struct packer *packer;
	struct engine *engine;
};

/*
 * All slots in one piece: huge pages, where the kernel grants them, save a fault for each 4 KiB, which
 * is a tenth of the time a small image takes.
 */
static void map_slots(struct packer *packer)
{
	packer->memory = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (packer->memory == MAP_FAILED) {
		fprintf(stderr, "error: out of memory (%d bytes for packing)\n", SLOTS * SLOT_SIZE);
		exit(3);
	}
	madvise(packer->memory, SLOTS * SLOT_SIZE, MADV_HUGEPAGE);
	for (size_t i = 0; i < SLOTS; i++) {
		packer->slots[i].in = packer->memory + i * SLOT_SIZE;
		packer->slots[i].out = packer->slots[i].in + BLOCK_SIZE;
	}
}

struct packer *packer_new(enum compression compression)
{
	struct packer *packer = memory_new(sizeof(*packer));

	packer->compression = compression;
	map_slots(packer);
	pthread_mutex_init(&packer->mutex, NULL);
	pthread_cond_init(&packer->work, NULL);
	pthread_cond_init(&packer->done, NULL);
	return packer;
}

static void engine_free(struct engine *engine)
{
	/* Freeing nothing would load the library first (cmake/lazy.cmake). */
	if (engine->zstd)
		ZSTD_freeCCtx(engine->zstd);
	if (engine->deflate)
		libdeflate_free_compressor(engine->deflate);
	*engine = (struct engine){0};
}

void packer_rest(struct packer *packer)
{
	pthread_mutex_lock(&packer->mutex);
	packer->ending = true;
	pthread_cond_broadcast(&packer->work);
	pthread_mutex_unlock(&packer->mutex);
}

static void end_helpers(struct packer *packer)
{
	packer_rest(packer);
	for (size_t i = 0; i < packer->helper_count; i++) {
		pthread_join(packer->helpers[i], NULL);
		engine_free(&packer->engines[i]);
	}
	packer->helper_count = 0;
}

void packer_free(struct packer **packer)
{
	struct packer *p = *packer;

	if (!p)
		return;
	end_helpers(p);
	engine_free(&p->engine);
	munmap(p->memory, SLOTS * SLOT_SIZE);
	hasher_free(&p->diff_hasher);
	hasher_free(&p->blob_hasher);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->mutex);
	free(p);
	*packer = NULL;
}

static bool open_zstd(struct engine *engine)
{
	if (engine->zstd)
		return true;
	engine->zstd = ZSTD_createCCtx();
	if (!engine->zstd)
		return false;
	ZSTD_CCtx_setParameter(engine->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(engine->zstd, ZSTD_c_checksumFlag, 1);
	return true;
}

static size_t compress_zstd(struct engine *engine, const struct slot *slot, size_t room)
{
	if (!open_zstd(engine))
		return 0;
	size_t size = ZSTD_compress2(engine->zstd, slot->out, room, slot->in, slot->in_size);
	return ZSTD_isError(size) ? 0 : size;
}

/* libdeflate writes a gzip header without a time. */
static size_t compress_gzip(struct engine *engine, const struct slot *slot, size_t room)
{
	if (!engine->deflate)
		engine->deflate = libdeflate_alloc_compressor(GZIP_LEVEL);
	if (!engine->deflate)
		return 0;
	return libdeflate_gzip_compress(engine->deflate, slot->in, slot->in_size, slot->out, room);
}

/* Only running out of memory makes it fail: out has room for the worst case. */
static void compress(enum compression compression, struct engine *engine, struct slot *slot)
{
	slot->out_size = compression == COMPRESSION_ZSTD ? compress_zstd(engine, slot, OUT_SIZE)
							 : compress_gzip(engine, slot, OUT_SIZE);
}

/* The oldest full slot becomes the caller's; NULL when there is none. Mutex held. */
static struct slot *take_full(struct packer *packer)
{
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &packer->slots[(packer->writing + i) % SLOTS];
		if (slot->state == SLOT_FULL) {
			slot->state = SLOT_TAKEN;
			return slot;
		}
	}
	return NULL;
}

static void *help(void *context)
{
	struct helper_start *start = context;
	struct packer *packer = start->packer;
	struct engine *engine = start->engine;

	free(start);
	/* Loads the libraries while nothing is to be done yet. */
	digest_load();
	if (packer->compression == COMPRESSION_ZSTD)
		(void)open_zstd(engine);
	pthread_mutex_lock(&packer->mutex);
	while (!packer->ending) {
		struct slot *slot = take_full(packer);
		if (!slot) {
			pthread_cond_wait(&packer->work, &packer->mutex);
			continue;
		}
		pthread_mutex_unlock(&packer->mutex);
		compress(packer->compression, engine, slot);
		pthread_mutex_lock(&packer->mutex);
		slot->state = SLOT_DONE;
		pthread_cond_signal(&packer->done);
	}
	pthread_mutex_unlock(&packer->mutex);
	return NULL;
}

/* The owner works too, so one helper less than processors. Failing to start one only costs time. */
static void start_helpers(struct packer *packer, size_t limit)
{
	cpu_set_t allowed;
	int processors =
		sched_getaffinity(0, sizeof(allowed), &allowed) == 0 ? CPU_COUNT(&allowed) : 1;

	while (packer->helper_count < limit && (int)packer->helper_count < processors - 1) {
		struct helper_start *start = memory_new(sizeof(*start));
		*start = (struct helper_start){packer, &packer->engines[packer->helper_count]};
		if (pthread_create(&packer->helpers[packer->helper_count], NULL, help, start) !=
			0) {
			free(start);
			return;
		}
		packer->helper_count++;
	}
}

/* Waits until no helper works on a slot, and empties all. */
static void reset_slots(struct packer *packer)
{
	pthread_mutex_lock(&packer->mutex);
	for (size_t i = 0; i < SLOTS; i++) {
		struct slot *slot = &packer->slots[i];
		if (slot->state == SLOT_FULL)
			slot->state = SLOT_EMPTY;
		while (slot->state == SLOT_TAKEN)
			pthread_cond_wait(&packer->done, &packer->mutex);
		slot->state = SLOT_EMPTY;
		slot->in_size = 0;
	}
	packer->filling = packer->writing = packer->waiting = 0;
	pthread_mutex_unlock(&packer->mutex);
}

void packer_begin(struct packer *packer, int fd, const char *what)
{
	if (packer->waiting > 0)
		reset_slots(packer);
	packer->slots[packer->filling].in_size = 0;
	packer->fd = fd;
	packer->what = what;
	packer->packed = (struct packed){0};
	packer->peeked = false;
	hasher_free(&packer->diff_hasher);
	hasher_free(&packer->blob_hasher);
	packer->diff_hasher = hasher_new();
	packer->blob_hasher = hasher_new();
}

void packer_alternates(struct packer *packer)
{
	packer->flushes = true;
}

void packer_warm(struct packer *packer)
{
	if (packer->compression != COMPRESSION_NONE)
		start_helpers(packer, 1);
}

static bool write_out(struct packer *packer, const char *bytes, size_t size, struct error *err)
{
	hasher_add(packer->blob_hasher, bytes, size);
	packer->packed.size_bytes += (int64_t)size;
	return descriptor_write_all(packer->fd, bytes, size, packer->what, err);
}

/* Writes the oldest slot, compressing whatever waits while it is not done. */
static bool write_oldest(struct packer *packer, struct error *err)
{
	struct slot *oldest = &packer->slots[packer->writing];

	pthread_mutex_lock(&packer->mutex);
	while (oldest->state != SLOT_DONE) {
		struct slot *slot = take_full(packer);
		if (!slot) {
			pthread_cond_wait(&packer->done, &packer->mutex);
			continue;
		}
		pthread_mutex_unlock(&packer->mutex);
		compress(packer->compression, &packer->engine, slot);
		pthread_mutex_lock(&packer->mutex);
		slot->state = SLOT_DONE;
	}
	oldest->state = SLOT_EMPTY;
	packer->writing = (packer->writing + 1) % SLOTS;
	pthread_mutex_unlock(&packer->mutex);
	packer->waiting--;

	if (oldest->out_size == 0)
		return error_raise(err, ERROR_SYSTEM, "no memory to compress \"%s\"", packer->what);
	oldest->in_size = 0;
	return write_out(packer, oldest->out, oldest->out_size, err);
}

/* The current block is full, or the last one. */
static bool submit(struct packer *packer, bool last, struct error *err)
{
	struct slot *slot = &packer->slots[packer->filling];

	if (slot->in_size == 0)
		return true;
	packer->packed.diff_bytes += (int64_t)slot->in_size;
	if (packer->compression == COMPRESSION_NONE) {
		size_t size = slot->in_size;
		slot->in_size = 0;
		return write_out(packer, slot->in, size, err);
	}
	if (!packer->all_started && (!last || packer->waiting > 0)) {
		start_helpers(packer, HELPER_LIMIT);
		packer->all_started = true;
	}
	pthread_mutex_lock(&packer->mutex);
	slot->state = SLOT_FULL;
	pthread_cond_signal(&packer->work);
	pthread_mutex_unlock(&packer->mutex);
	packer->filling = (packer->filling + 1) % SLOTS;
	packer->waiting++;

	/* Hashed while a helper compresses the same block; both only read it. */
	if (!packer->peeked)
		hasher_add(packer->diff_hasher, slot->in, slot->in_size);
	return packer->waiting < SLOTS || write_oldest(packer, err);
}

bool packer_room(struct packer *packer, char **out_room, size_t *out_size, struct error *err)
{
	if (packer->slots[packer->filling].in_size == BLOCK_SIZE && !submit(packer, false, err))
		return false;
	struct slot *slot = &packer->slots[packer->filling];

	*out_room = slot->in + slot->in_size;
	*out_size = BLOCK_SIZE - slot->in_size;
	return true;
}

void packer_filled(struct packer *packer, size_t size)
{
	packer->slots[packer->filling].in_size += size;
}

bool packer_add(struct packer *packer, const void *bytes, size_t size, struct error *err)
{
	const char *at = bytes;

	while (size > 0) {
		char *room;
		size_t part;

		if (!packer_room(packer, &room, &part, err))
			return false;
		part = part < size ? part : size;
		memcpy(room, at, part);
		packer_filled(packer, part);
		at += part;
		size -= part;
	}
	return true;
}

bool packer_peek(struct packer *packer, struct digest *out_diff_id)
{
	const struct slot *slot = &packer->slots[packer->filling];

	if (packer->packed.size_bytes > 0 || packer->compression == COMPRESSION_NONE)
		return false;
	hasher_add(packer->diff_hasher, slot->in, slot->in_size);
	packer->packed.diff_id = hasher_finish(packer->diff_hasher);
	packer->peeked = true;
	*out_diff_id = packer->packed.diff_id;
	return true;
}

bool packer_flush(struct packer *packer, struct error *err)
{
	if (!packer->flushes || packer->compression == COMPRESSION_NONE)
		return true;
	start_helpers(packer, 1);
	return submit(packer, true, err);
}

bool packer_finish(struct packer *packer, struct packed *out_packed, struct error *err)
{
	if (!submit(packer, true, err))
		return false;
	while (packer->waiting > 0)
		if (!write_oldest(packer, err))
			return false;
	packer->packed.digest = hasher_finish(packer->blob_hasher);
	if (packer->compression == COMPRESSION_NONE)
		packer->packed.diff_id = packer->packed.digest;
	else if (!packer->peeked)
		packer->packed.diff_id = hasher_finish(packer->diff_hasher);
	*out_packed = packer->packed;
	return true;
}
