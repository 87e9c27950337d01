/*
 * rebase.h - an image in a registry is put on a newer base, there, without moving a byte that the
 *            registry has:
 *
 *     manifests and configurations of the image, its old base and the new one ─► base_swap()
 *         ─► mount the new base's layers ─► POST + PUT the configuration ─► PUT the manifest
 *
 * A base on another registry is fetched and sent. What was said about the old image (signatures, bills
 * of materials) is not said about the new one.
 */
#ifndef BUILDERS_REGISTRY_REBASE_H
#define BUILDERS_REGISTRY_REBASE_H

#include "builders/registry/base_fetch.h"

struct rebase_result {
	struct push_result push;
	struct digest was;            /* the image before */
	struct base_image from, onto; /* the bases */
	size_t own_layers;
	bool unchanged; /* it stands on that base already; nothing was pushed */
};
void rebase_result_free(struct rebase_result *result);

/*
 * onto  the new base, written as for base_fetch()
 * from  the old one; NULL: what the image's annotations say
 * Fails with ERROR_USAGE: the image does not say what it stands on, or stands on something else, or is
 *            an index; and the kinds of base_fetch() and push_image().
 */
bool rebase_image(const struct reference *image, const char *onto, const char *from,
	const struct push_options *options, struct rebase_result *out_result, struct error *err)
	must_use;

void rebase_write_json(const struct rebase_result *result, const struct reference *image,
	struct buf *out);

#endif
