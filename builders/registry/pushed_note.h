/*
 * pushed_note.h - a note that an image's referrers were pushed to a repository, so that the next
 *                 push of the same need not ask.
 *
 * One empty file per note, named by the digest of registry, repository, image and referrers. The
 * notes are a help, never a must: lost ones cost requests. Beyond 4096 notes all are dropped.
 */
#ifndef BUILDERS_REGISTRY_PUSHED_NOTE_H
#define BUILDERS_REGISTRY_PUSHED_NOTE_H

#include "builders/image/artifact.h"
#include "builders/registry/reference.h"

/* folder NULL: no notes, nothing is found. */
bool pushed_note_find(const char *folder, const struct reference *target,
	const struct digest *subject, const struct artifact_list *list);
void pushed_note_write(const char *folder, const struct reference *target,
	const struct digest *subject, const struct artifact_list *list);

#endif
