/*
 * layers.h - layers of images, unpacked once and shared by all containers.
 *
 *     <state>/layers/<32 hex digits of the diff id>/     a whole layer, or it is not there
 *
 * A layer is unpacked beside its final name by a child process that has made that folder its root
 * directory (so no name in the archive, and no link, leads out of it), checked against its diff id,
 * and renamed. Whiteouts become what overlayfs understands: character device 0/0, and the attribute
 * trusted.overlay.opaque.
 *
 * Source  OCI Image Format 1.1, "Filesystem Layer"; kernel Documentation/filesystems/overlayfs.
 * Limits  20 GiB and two million entries a layer; from 1 GiB on at most 1,100 times the blob's size.
 *         Devices are left out: a container has those that it is given.
 */
#ifndef DEPLOYERS_LOCAL_LAYERS_H
#define DEPLOYERS_LOCAL_LAYERS_H

#include "deployers/local/task_image.h"

struct layers;

bool layers_open(struct cloud *cloud, struct layers **out_layers, struct error *err) must_use;
void layers_close(struct layers **layers); /* ends unpacking; what is half done is removed */

/*
 * Makes sure that all layers of the image are unpacked.
 *
 * out_ready  true: they are there already, done is not called. false: done is called later, on the
 *            loop, with err NULL when all went well.
 */
bool layers_prepare(struct layers *layers, const struct task_image *image,
	void (*done)(void *context, const struct error *err), void *context, bool *out_ready,
	struct error *err) must_use;
/* Forgets all waiting calls with this context. */
void layers_cancel(struct layers *layers, const void *context);

enum { LAYERS_KEPT = 100 };
/* Are there more? Then layers_prune() has something to do, if not all of them are in use. */
bool layers_are_many(const struct layers *layers);
/*
 * Removes what is too many. They are gone at once for whoever looks for them; a child clears them away.
 *
 * in_use  names as layers_lower() writes them: these stay
 */
void layers_prune(struct layers *layers, const struct strings *in_use);

const char *layers_folder(const struct layers *layers);
/* overlayfs' lowerdir, relative to layers_folder(): top first, separated by ':'. */
void layers_lower(const struct task_image *image, struct buf *out);

/* Unpacks the tar (compressed or not) into folder, which exists and is empty; runs in the caller's
 * process and changes its root directory: for the child, tests and the fuzzer. */
bool layer_unpack(const char *blob_path, const struct digest *diff_id, const char *folder,
	struct error *err) must_use;

#endif
