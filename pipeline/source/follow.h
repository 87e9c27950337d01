/*
 * follow.h - tells when branches of a local repository move.
 *
 * inotify on refs/heads (with the folders below it), packed-refs and HEAD: a `git push` into a bare
 * repository, a commit in a work tree and a fetch into a mirror are all seen at once. What was seen
 * is no more than "look again": moved() reads where the branches stand.
 */
#ifndef PIPELINE_SOURCE_FOLLOW_H
#define PIPELINE_SOURCE_FOLLOW_H

#include "base/loop.h"
#include "pipeline/source/repository.h"

struct follow;

/* moved is called from the loop, once for all that happened in one round. */
bool follow_start(struct loop *loop, struct repository *repository, void (*moved)(void *context),
	void *context, struct follow **out_follow, struct error *err) must_use;
void follow_free(struct follow **follow);

#endif
