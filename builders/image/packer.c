#include "builders/image/packer.h"

#include "base/file.h"
#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
	SLOT_SIZE = 2 * COMPRESSION_BLOCK_LIMIT + COMPRESSION_MORE,
	SLOTS = 4,
	HELPER_LIMIT = 3,
};

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
	char *in, *out; /* in the packer's memory; out lies behind what its block may have */
	size_t in_size, out_size;
	enum slot_state state; /* guarded by the packer's mutex */
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
	size_t behind;  /* the last of these that were not hashed yet */
	size_t blocks;  /* of this blob that were submitted */
	struct hasher *diff_hasher, *blob_hasher; /* NULL: not needed yet */
	struct compressor compressor;
	struct packed packed;
	bool peeked; /* the diff_id is known and everything was hashed for it */

	/* Guards the states of the slots, taking and ending; helpers wait on work, the owner on done. */
	pthread_mutex_t mutex;
	pthread_cond_t work, done;
	pthread_t helpers[HELPER_LIMIT];
	struct compressor compressors[HELPER_LIMIT];
	size_t helper_count;
	bool all_started;
	bool flushes; /* packer_flush() is worth while */
	bool loading; /* a helper loads the libraries */
	bool ending;
};

struct helper_start {
	struct packer *packer;
	struct compressor *compressor;
};

/*
 * All slots in one piece. Huge pages, where the kernel grants them, save a fault for each 4 KiB, which is a
 * tenth of the time a small image takes; beyond what it fills they cost more than they save.
 */
static void map_slots(struct packer *packer)
{
	packer->memory = mmap(NULL, SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (packer->memory == MAP_FAILED) {
		fprintf(stderr, "error: out of memory (%d bytes for packing)\n", SLOTS * SLOT_SIZE);
		exit(3);
	}
	madvise(packer->memory, 2 * SLOT_SIZE, MADV_HUGEPAGE);
	for (size_t i = 0; i < SLOTS; i++)
		packer->slots[i].in = packer->memory + i * SLOT_SIZE;
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
		compressor_free(&packer->compressors[i]);
	}
	packer->helper_count = 0;
}

void packer_free(struct packer **packer)
{
	struct packer *p = *packer;

	if (!p)
		return;
	end_helpers(p);
	compressor_free(&p->compressor);
	munmap(p->memory, SLOTS * SLOT_SIZE);
	hasher_free(&p->diff_hasher);
	hasher_free(&p->blob_hasher);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->done);
	pthread_mutex_destroy(&p->mutex);
	free(p);
	*packer = NULL;
}

/* Only running out of memory makes it fail. */
static void compress(const struct packer *packer, struct compressor *compressor, struct slot *slot)
{
	size_t room = (size_t)(slot->out - slot->in) + COMPRESSION_MORE;

	slot->out_size = compressor_run(compressor, packer->compression, slot->in, slot->in_size,
		slot->out, room);
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
	struct compressor *compressor = start->compressor;

	free(start);
	/* Loads the libraries while nothing is to be done yet: first the one that the owner needs first. */
	compressor_warm(compressor, packer->compression);
	digest_load();
	pthread_mutex_lock(&packer->mutex);
	packer->loading = false;
	while (!packer->ending) {
		struct slot *slot = take_full(packer);
		if (!slot) {
			pthread_cond_wait(&packer->work, &packer->mutex);
			continue;
		}
		pthread_mutex_unlock(&packer->mutex);
		compress(packer, compressor, slot);
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
		*start = (struct helper_start){packer, &packer->compressors[packer->helper_count]};
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
	packer->filling = packer->writing = packer->waiting = packer->behind = 0;
	pthread_mutex_unlock(&packer->mutex);
}

void packer_begin(struct packer *packer, int fd, const char *what)
{
	/* From the first slot again, whose memory is mapped already. */
	reset_slots(packer);
	packer->fd = fd;
	packer->what = what;
	packer->packed = (struct packed){0};
	packer->peeked = false;
	packer->blocks = 0;
	hasher_free(&packer->diff_hasher);
	hasher_free(&packer->blob_hasher);
}

void packer_alternates(struct packer *packer)
{
	packer->flushes = true;
}

void packer_warm(struct packer *packer)
{
	if (packer->compression == COMPRESSION_NONE)
		return;
	packer->loading = true;
	start_helpers(packer, 1);
	if (packer->helper_count == 0)
		packer->loading = false;
}

/* Waits until OpenSSL is loaded, if it is not yet. */
static struct hasher *ready(struct hasher **hasher)
{
	if (!*hasher)
		*hasher = hasher_new();
	return *hasher;
}

/* Hashes what was submitted. Helpers may compress it at the same time; both only read it. */
static void catch_up(struct packer *packer)
{
	for (; packer->behind > 0; packer->behind--) {
		const struct slot *slot =
			&packer->slots[(packer->filling + SLOTS - packer->behind) % SLOTS];
		hasher_add(ready(&packer->diff_hasher), slot->in, slot->in_size);
	}
}

static bool write_out(struct packer *packer, const char *bytes, size_t size, struct error *err)
{
	hasher_add(ready(&packer->blob_hasher), bytes, size);
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
		compress(packer, &packer->compressor, slot);
		pthread_mutex_lock(&packer->mutex);
		slot->state = SLOT_DONE;
	}
	oldest->state = SLOT_EMPTY;
	packer->writing = (packer->writing + 1) % SLOTS;
	pthread_mutex_unlock(&packer->mutex);
	catch_up(packer);
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
	slot->out = slot->in + compression_block_size(packer->blocks++);
	pthread_mutex_lock(&packer->mutex);
	slot->state = SLOT_FULL;
	bool loading = packer->loading;
	pthread_cond_signal(&packer->work);
	pthread_mutex_unlock(&packer->mutex);
	packer->filling = (packer->filling + 1) % SLOTS;
	packer->waiting++;

	/* As long as there is nothing to hash with, what is to be compressed comes first. */
	if (!packer->peeked)
		packer->behind++;
	if (!loading)
		catch_up(packer);
	return packer->waiting < SLOTS || write_oldest(packer, err);
}

bool packer_room(struct packer *packer, char **out_room, size_t *out_size, struct error *err)
{
	if (packer->slots[packer->filling].in_size == compression_block_size(packer->blocks) &&
		!submit(packer, false, err))
		return false;
	struct slot *slot = &packer->slots[packer->filling];

	*out_room = slot->in + slot->in_size;
	*out_size = compression_block_size(packer->blocks) - slot->in_size;
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
	catch_up(packer);
	hasher_add(ready(&packer->diff_hasher), slot->in, slot->in_size);
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
	packer->packed.digest = hasher_finish(ready(&packer->blob_hasher));
	if (packer->compression == COMPRESSION_NONE)
		packer->packed.diff_id = packer->packed.digest;
	else if (!packer->peeked)
		packer->packed.diff_id = hasher_finish(ready(&packer->diff_hasher));
	*out_packed = packer->packed;
	return true;
}
