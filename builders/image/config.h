/*
 * config.h - the two documents that make layers an image: the configuration (what to run, as whom)
 *            and the manifest (which blobs). Members stand in one fixed order, so equal images have
 *            equal bytes.
 *
 * Source  image-spec 1.1: config.md, manifest.md.
 */
#ifndef BUILDERS_IMAGE_CONFIG_H
#define BUILDERS_IMAGE_CONFIG_H

#include "base/json_writer.h"
#include "builders/image/layer.h"

struct image_config {
	const char *architecture;
	const char *user;             /* "65532" or "1000:1000" */
	const char *entrypoint;       /* path of the program */
	const struct strings *args;   /* become Cmd */
	const struct strings *env;    /* "NAME=value" */
	const struct strings *labels; /* "key=value", written sorted */
	int64_t port;                 /* 0: none; TCP */
	int64_t created_s;
};

/* "created", in whole seconds: the fraction would always be zero. */
void config_put_created(struct json_writer *w, int64_t created_s);

void config_write(const struct image_config *config, const struct layer *layers, size_t count,
	struct buf *out);
void manifest_write(const struct digest *config_digest, int64_t config_size,
	const struct layer *layers, size_t count, struct buf *out);

/* "linux/arm64/v8"; owned. variant "" or NULL: none. */
char *platform_text(const char *os, const char *architecture, const char *variant) must_use;

/* A blob that a manifest names. */
struct blob_name {
	struct digest digest;
	int64_t size_bytes;
	char *media_type; /* owned */
	char *platform;   /* owned; "linux/arm64/v8", of an index's parts that say it; NULL: none */
};

/* What a manifest from outside says: its config and layers, or, of an index, its manifests. */
struct manifest {
	bool is_index;
	char *media_type;        /* owned */
	struct blob_name config; /* not of an index */
	struct blob_name *items; /* owned: layers or manifests */
	size_t count;
};
void manifest_free(struct manifest *manifest);

/*
 * Reads an OCI or Docker manifest or index.
 *
 * media_type  what the sender said it is; NULL or "": the document's own member decides
 * Fails with  ERROR_INVALID (no JSON, not of schema version 2, a digest or size that makes no
 *             sense, a foreign media type), ERROR_LIMIT (over 4 MiB, over 10,000 blobs).
 */
bool manifest_parse(struct str text, const char *media_type, const char *what,
	struct manifest *out_manifest, struct error *err) must_use;

/* What `inspect` shows of a configuration from outside. */
struct image_facts {
	char *architecture, *os, *user; /* owned */
	char *variant;                  /* owned; "" when it names none */
	struct strings entrypoint, args, env, labels, ports;
	struct digest *diff_ids; /* owned */
	size_t diff_id_count;
	char *created; /* owned; "" when it does not say */
};
void image_facts_free(struct image_facts *facts);
bool config_parse(struct str text, const char *what, struct image_facts *out_facts,
	struct error *err) must_use;

#endif
