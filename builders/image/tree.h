/*
 * tree.h - what will be in an image: paths, where their content comes from, in which layer they lie
 *          and why they are there.
 *
 * Paths inside the image have no leading slash ("usr/lib/libz.so.1"). Modes are policy, not copies:
 * files 0644, or 0755 when their owner may execute them; folders 0755; owner 0:0.
 * A path is resolved through the links that the tree holds already, so "/lib/x" lands in "usr/lib/x"
 * once "lib" is a link to "usr/lib", as it would in the running container.
 *
 * Ownership  a tree owns its entries and all their texts; all-zero is the empty tree.
 * Limits     500,000 entries, 40 links on the way to one path.
 */
#ifndef BUILDERS_IMAGE_TREE_H
#define BUILDERS_IMAGE_TREE_H

#include "base/buf.h"
#include "base/error.h"

/* Layers from the one that changes most rarely to the one that each commit changes. */
enum layer_kind {
	LAYER_BASE,          /* loader, libc, users, /tmp */
	LAYER_LIBRARIES,     /* the other shared libraries */
	LAYER_CERTIFICATES,  /* certificate authorities, OpenSSL's configuration */
	LAYER_CONFIGURATION, /* files the user names */
	LAYER_PROGRAM,       /* what was just built */
	LAYER_DOCKERFILE,    /* what buildah made; never of a tree's entry */
	LAYER_KINDS,
};
const char *layer_kind_name(enum layer_kind kind);

enum entry_kind {
	ENTRY_FOLDER,
	ENTRY_FILE,
	ENTRY_LINK,
};

/* What a file looked like when it was added; it must still look so when it is packed. */
struct file_identity {
	int64_t device, inode, size_bytes, modified_ns, changed_ns;
};

struct tree_entry {
	char *path; /* owned */
	enum entry_kind kind;
	enum layer_kind layer;
	unsigned mode;
	char *source;                  /* owned; file on this machine, NULL: content */
	struct file_identity identity; /* of source */
	char *content;                 /* owned; of a generated file */
	int64_t size_bytes;            /* of source or content */
	char *target;                  /* owned; where a link points */
	char *why;                     /* owned; one sentence for people */
	const struct package *package; /* borrowed; the Debian package it is from; NULL: none */
};

struct tree {
	struct tree_entry *entries; /* owned, in order of adding */
	size_t count, capacity;
	uint32_t *slots; /* owned hash table over paths: index + 1, 0 is free */
	size_t slot_count;
};
void tree_free(struct tree *tree);

/* The entry at exactly this path (without leading slash), NULL when there is none. Valid until the
 * next add. */
const struct tree_entry *tree_find(const struct tree *tree, const char *path);

/* Does the file behind an entry's source, open as fd, still look as it did when it was added? */
bool tree_entry_is_unchanged(const struct tree_entry *entry, int fd);

/* Says which package the entry at exactly this path is from; the package must outlive the tree. */
void tree_set_package(struct tree *tree, const char *path, const struct package *package);

/* Where path really lies: normalised, without leading slash, links of the tree followed except the
 * last component. Owned. ERROR_INVALID for a path that leaves the root or loops, has bytes that are
 * not UTF-8, or is longer than 4,096 bytes. */
bool tree_resolve(const struct tree *tree, const char *path, char **out_path, struct error *err)
	must_use;

/*
 * The tree_add_… functions: a path that is there already is replaced when the new entry is of the
 * same kind (last one wins), else ERROR_CONFLICT. why is copied.
 */
/* A file of this machine; follows links. ERROR_INVALID for what is no regular file or is setuid. */
bool tree_add_file(struct tree *tree, const char *path, const char *source, enum layer_kind layer,
	const char *why, struct error *err) must_use;
bool tree_add_content(struct tree *tree, const char *path, struct str content,
	enum layer_kind layer, const char *why, struct error *err) must_use;
bool tree_add_link(struct tree *tree, const char *path, const char *target, enum layer_kind layer,
	const char *why, struct error *err) must_use;
bool tree_add_folder(struct tree *tree, const char *path, unsigned mode, enum layer_kind layer,
	const char *why, struct error *err) must_use;

/* A file of this machine at the same path in the image, with the links that lead to it here. Links
 * to folders on the way belong to the base layer: which layer needs them first is an accident. */
bool tree_add_host_file(struct tree *tree, const char *path, enum layer_kind layer, const char *why,
	struct error *err) must_use;

/* When all is added: ERROR_CONFLICT where something lies below a file or link, which would hide it. */
bool tree_check(const struct tree *tree, struct error *err) must_use;

/* A file or a whole folder of this machine at path; links inside a folder stay links. */
bool tree_add_all(struct tree *tree, const char *path, const char *source, enum layer_kind layer,
	const char *why, struct error *err) must_use;

#endif
