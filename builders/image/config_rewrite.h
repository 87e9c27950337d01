/*
 * config_rewrite.h - a configuration that others wrote becomes one of ours: its known members in one
 *                    fixed order, ours laid over, the rest dropped. Equal input has equal bytes.
 *
 * Source  image-spec 1.1, config.md; Healthcheck, Shell and OnBuild are Docker's and kept.
 */
#ifndef BUILDERS_IMAGE_CONFIG_REWRITE_H
#define BUILDERS_IMAGE_CONFIG_REWRITE_H

#include "base/digest.h"
#include "base/json.h"

struct config_changes {
	const char *user;             /* NULL: as it was */
	const char *entrypoint;       /* NULL: as it was; else the old Cmd goes too */
	const struct strings *args;   /* become Cmd; NULL or empty: as it was */
	const struct strings *env;    /* "NAME=value"; a name that was there is replaced */
	const struct strings *labels; /* "key=value", likewise */
	int64_t port;                 /* exposed too; 0: none */
	const char *working_folder;   /* NULL: as it was */
	int64_t created_s;
	const struct digest *diff_ids;
	size_t diff_id_count;
	const struct json *history; /* an array */
};
void config_rewrite(const struct json *outside, const struct config_changes *changes,
	struct buf *out);

/*
 * The history without what differs from build to build: times, comments ("FROM 97bf448ce646") and the
 * digests that builders of Dockerfiles name copied files by ("COPY file:e3b0… in /app"). An owned array, empty when there is
 * none. squashed: every entry is one without a layer, and a last one stands for the only layer.
 */
struct json *history_normalise(const struct json *history, bool squashed) must_use;

#endif
