/*
 * leak_fence.h - keeps secrets out of an image: all that goes into it passes here.
 *
 *     leak_fence_begin -> leak_fence_feed... -> leak_fence_end      for each file
 *     leak_fence_text                                               for each setting
 *     leak_fence_verdict                                            when all went by
 *
 * What counts as a secret is in base/secret_scan.h: those of the run, and well-known forms. What must
 * lie in the image all the same is named with a reason: "PATH=REASON", where PATH is a file's in the
 * image or a setting's ("env:NAME", "label:KEY", "arg:N") and may have '*'.
 *
 * A layer that was searched before and had nothing is not searched again, see leak_fence_identity().
 *
 * Ownership  a fence borrows the lists that it is made of.
 * Threads    one fence, one thread.
 */
#ifndef BUILDERS_IMAGE_LEAK_FENCE_H
#define BUILDERS_IMAGE_LEAK_FENCE_H

#include "base/digest.h"

struct leak_fence;

/* secrets: of the run; may be NULL, as allowed. ERROR_USAGE for an allowance without a reason. */
bool leak_fence_new(const struct strings *secrets, const struct strings *allowed,
	struct leak_fence **out_fence, struct error *err) must_use;
void leak_fence_free(struct leak_fence **fence);

void leak_fence_begin(struct leak_fence *fence, const char *path); /* borrowed until the end */
void leak_fence_feed(struct leak_fence *fence, const void *bytes, size_t size);
void leak_fence_end(struct leak_fence *fence);
/* A setting: where is "env:NAME" and the like. */
void leak_fence_text(struct leak_fence *fence, const char *where, struct str text);
/* A list of them: kind "env" and "label" with NAME=value, "arg" with texts that have no name; may be
 * NULL. */
void leak_fence_settings(struct leak_fence *fence, const char *kind, const struct strings *list);

/* Secrets found so far, allowed ones too. */
size_t leak_fence_count(const struct leak_fence *fence);

/* Was there one that nobody allowed? */
bool leak_fence_refuses(const struct leak_fence *fence);

/* Stands for what is looked for. Tells nothing of the secrets to who does not know key. */
struct digest leak_fence_identity(const struct leak_fence *fence, const struct digest *key);

/* ERROR_FAILED when there was a secret that nobody allowed: names where, and of which kind. Adds a
 * warning for each that was allowed. */
bool leak_fence_verdict(const struct leak_fence *fence, struct strings *warnings, struct error *err)
	must_use;

#endif
