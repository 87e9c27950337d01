/*
 * package_index.h - which package owns a path, kept in a file so that the hundreds of lists in
 *                   /var/lib/dpkg/info are read once, not at every build.
 *
 * A path is kept as 48 bits of its hash. An unowned path is taken for an owned one once in some
 * 10^14 questions, which we accept for a table that is a quarter of the size of the lists.
 *
 *     header   magic, the stamp of what it was made from, counts
 *     places   where each package's stanza lies in dpkg's status file
 *     slots    hash table: 48 bits of hash, 16 bits of package number + 1; 0 is free
 *
 * The file is of this machine only (its byte order) and is replaced as a whole.
 */
#ifndef BUILDERS_IMAGE_PACKAGE_INDEX_H
#define BUILDERS_IMAGE_PACKAGE_INDEX_H

#include "base/buf.h"
#include "base/error.h"

enum { PACKAGE_LIMIT = 65534 };

/* What an index was made from; another value of any number makes it useless. */
struct package_stamp {
	int64_t status_ns, status_size, status_inode, info_ns, diversions_ns, diversions_size;
	int64_t merged; /* /lib is a link to usr/lib, so both spellings mean one file */
};

struct package_place {
	uint64_t offset, size; /* of the stanza, in bytes of the status file */
};

struct package_index {
	struct package_stamp stamp;
	const struct package_place *places; /* borrowed from what is built or read */
	size_t count;
	const uint64_t *slots;
	size_t slot_count;
	void *built_places, *built_slots; /* owned */
	void *map;                        /* owned: read from a file */
	size_t map_size;
};
void package_index_free(struct package_index *index);

/* Builds: packages are numbered in the order of adding. */
struct package_index_maker;
struct package_index_maker *package_index_maker_new(const struct package_stamp *stamp) must_use;
void package_index_maker_free(struct package_index_maker **maker);
/* False when there are PACKAGE_LIMIT already. */
bool package_index_add_package(struct package_index_maker *maker, struct package_place place)
	must_use;
/* Room for that many paths, before the first is added; more may come. */
void package_index_reserve(struct package_index_maker *maker, size_t path_count);
/* The path of this hash belongs to the package added last; the first owner of a path stays. */
void package_index_add_path(struct package_index_maker *maker, uint64_t path_hash);
/* What was added is the index's own then. */
void package_index_finish(struct package_index_maker *maker, struct package_index *out_index);

/* What stands for a path. merged: "/usr/lib/x" and "/lib/x" are one file, so they have one hash. */
uint64_t package_index_hash(struct str path, bool merged);

/* The number of the package that owns path; -1: none does. */
int package_index_find(const struct package_index *index, struct str path);

bool package_index_write(const struct package_index *index, const char *path, struct error *err)
	must_use;
/* Takes the index in bytes (borrowed by it). False when they are no index or of another stamp. */
bool package_index_parse(struct str bytes, const struct package_stamp *stamp,
	struct package_index *out_index) must_use;
/* Maps a file. False as above, also when there is none. */
bool package_index_read(const char *path, const struct package_stamp *stamp,
	struct package_index *out_index) must_use;

#endif
