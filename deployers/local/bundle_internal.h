/*
 * bundle_internal.h - the parts of config.json: bundle.c (the whole, limits), bundle_process.c (what
 *                     runs, as whom, with which rights), bundle_mounts.c (what it sees).
 */
#ifndef DEPLOYERS_LOCAL_BUNDLE_INTERNAL_H
#define DEPLOYERS_LOCAL_BUNDLE_INTERNAL_H

#include "base/json_writer.h"
#include "deployers/local/bundle.h"

/* Each writes one member, "process" and "mounts". */
bool bundle_write_process(struct json_writer *w, const struct bundle *bundle, struct error *err)
	must_use;
bool bundle_write_mounts(struct json_writer *w, const struct bundle *bundle, struct error *err)
	must_use;
/* Makes the folders of the volumes that are ours. */
bool bundle_make_volumes(const struct bundle *bundle, struct error *err) must_use;

#endif
