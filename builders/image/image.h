/*
 * image.h - from a built program to an image in a layout.
 *
 *     program ─► closure (libraries, loader, certificates) ─► tree ─► layers ─► config ─► manifest
 *     files   ─┘                                                                └► tag in the layout
 *
 * The image holds /app/<program>, what it needs (closure.h), the files named, /etc/passwd and
 * /etc/group (root, nobody, nonroot 65532), /etc/nsswitch.conf and /tmp. No shell, no package
 * manager. Its digest depends on the bytes of these and on the options, not on who builds it, where,
 * when, under which umask or locale.
 *
 * Time  `created` and every file's time are SOURCE_DATE_EPOCH, or 1970 when it is not set.
 */
#ifndef BUILDERS_IMAGE_IMAGE_H
#define BUILDERS_IMAGE_IMAGE_H

#include "builders/image/config.h"
#include "builders/image/debug_files.h"
#include "builders/image/loader_check.h"
#include "builders/image/package_database.h"
#include "builders/image/package_root.h"

struct base_image;

struct image_options {
	const char *binary;           /* ELF program; required */
	const struct strings *files;  /* "SRC:DST", file or folder; may be NULL, as those below */
	const struct strings *args;   /* arguments the program gets when the runtime names none */
	const struct strings *env;    /* "NAME=value" */
	const struct strings *labels; /* "key=value" */
	const struct strings *with;   /* what is opened at run time: companions.h */
	const struct strings *hwcaps; /* "x86-64-v3": libraries for newer processors besides */
	const char *user;             /* NULL: "65532"; numbers, "UID" or "UID:GID" */
	int64_t port;                 /* 0: none */
	/* The image that this one stands on (borrowed); NULL: none. It has users, /tmp and the release;
	 * libraries are brought along all the same. user NULL then means the base's. */
	const struct base_image *base;
	bool allow_static_glibc; /* also programs that need their very glibc at run time */
	enum compression compression;
	const char *platform;                  /* "linux/arm64"; NULL: this machine's */
	const char *output;                    /* "FOLDER:TAG", tag "latest" when missing */
	const char *cache_folder;              /* NULL: no layer cache */
	const struct strings *secrets;         /* of this run, which must not be in the image */
	const struct strings *allowed_secrets; /* "PATH=REASON", see leak_fence.h */
	const struct strings *packages;        /* Debian packages by name; NULL: none */
	const char *package_folder; /* where they are kept unpacked; needed with packages */
	const char *
		debug_folder; /* debug information is split off and kept there; NULL: it stays in */
	const char *dpkg_folder; /* for tests; NULL: "/var/lib/dpkg" */
};

struct image {
	struct digest digest, config_digest;
	int64_t size_bytes; /* manifest, config and layers */
	char *architecture; /* owned */
	char *layout, *tag; /* owned */
	char *program;      /* owned; its path in the image */
	int64_t created_s;
	int64_t manifest_bytes;
	char *base_name; /* owned; what it stands on, as it was given; NULL: nothing */
	struct digest base_digest;
	size_t base_layers;   /* of the base, below ours */
	struct digest sbom;   /* of the referrer with the bill of materials; zero: none was made */
	struct layer *layers; /* owned; from the one that changes most rarely upwards */
	size_t layer_count;
	struct package_database *packages; /* owned; NULL when nothing is of a package */
	struct debug_files debug;          /* of its programs; none unless asked for */
	struct package_root root;          /* packages that were asked for by name */
	struct tree tree;                  /* what is in it and why */
	enum loader_check_result loader;   /* what the image's own loader said */
	char *loader_note;                 /* owned; why it was not asked, else NULL */
	struct strings warnings;           /* for people; none of them stops the build */
	bool runs_commands; /* it was made by commands that may do something else next time */
};
void image_free(struct image *image);

/*
 * Builds, and tags it in the layout when all is written and the image's own loader finds the
 * libraries that were put in (loader_check.h).
 *
 * Fails with ERROR_FAILED when a secret would be in the image; the kinds of closure_add(),
 * tree_add_…() and layer_begin(); ERROR_USAGE for options that make no sense (also a
 * SOURCE_DATE_EPOCH that is no number).
 */
bool image_build(const struct image_options *options, struct image *out_image, struct error *err)
	must_use;

/* The document of interfaces.md, "image build"; with files: every path, its layer and why it is there. */
void image_write_json(const struct image *image, bool files, struct buf *out);

#endif
