/*
 * narrow.h - a change in what a service uses that its last build did not read is no change for it.
 *
 * `uses` names folders, as wide as people find it convenient: "base". A build reads a few files of them.
 * What it read is recorded with its key (builders/executor/reads.h, the ledger's table reads), and a
 * plan whose key differs from that of a record asks: would the same build, made now, read the same
 * bytes? It would, when
 *
 *   - the keys differ in nothing but the contents of `uses`: the service's own path, buildspec, image,
 *     environment and toolchain (with them the compiler's flags) are the same;
 *   - of these contents, only C sources and headers were edited: nothing was added or removed, for a
 *     header that appears may come first in the search order, "__has_include" may find it, a wildcard
 *     may take it in, and one that goes lets another one come forward; no link, no mode;
 *   - none of the edited files was read, and none is a file that the image takes from there.
 *
 * For a build is a function of what it reads: with the same files there and the same bytes in all that
 * it read, it takes the same steps and reads the same files again; by induction over its reads it never
 * comes to an edited one. Everything else is affected: when unsure, build.
 *
 * A narrow key, a digest over the ids of the files read, was considered instead of comparing trees.
 * It would have to be computed for each record's own list at each commit, by walking all of `uses`, and
 * could not say which file changed. Two trees differ where their ids do, and only there is looked.
 * What is there keeps the key it was built with, so that each later commit is compared with what was
 * really built; narrow steps do not add up.
 */
#ifndef PIPELINE_PLAN_NARROW_H
#define PIPELINE_PLAN_NARROW_H

#include "pipeline/plan/key.h"

/* What is known of one build. */
struct narrow_record {
	struct key key;
	struct strings files; /* what it read outside of the service's path; sorted */
};

struct narrow_records {
	struct narrow_record *items; /* owned */
	size_t count;
};
void narrow_records_free(struct narrow_records *records);

/*
 * Did what changed since the record's build leave it as it was?
 *
 * now          the key of the service, from the same repository
 * out_unread   the files that changed although the build did not read them, when it did; sorted
 *
 * What cannot be compared any more (a tree that is gone) counts as a change.
 */
bool narrow_same(struct repository *repository, const struct project_service *service,
	const struct narrow_record *record, const struct key *now, struct strings *out_unread);

/* "narrowed: base/x.h changed, the last build did not read it"; owned. */
char *narrow_text(const struct strings *unread) must_use;

/* The edited file is one whose reading a compiler tells: a C or C++ source or header. */
bool narrow_is_source(const char *path);

#endif
