/*
 * reads.h - which files of its checkout a build has read.
 *
 *     reads_mark(checkout) -> the build -> reads_collect
 *
 * Two witnesses. Each file gets an access time of long ago before the build; whatever reads it, a
 * compiler, a script, a copy, moves that time. And the dependency files that compilers left (depfile.h)
 * name what they read. A file counts as read when either says so; and only a build of which both speak,
 * and do not contradict each other, is known at all. So the answer errs on the side of "read":
 *
 *     no dependency file           it may not be a compiler's build: nothing is known
 *     a file that one names, but   this file system does not keep access times ("noatime"), or
 *     whose time did not move      something other than the files was compiled: nothing is known
 *     symbolic links               what they lead to is not looked at: nothing is known
 *     reflinks that leave the      "cp" would read without a trace: nothing is known
 *     access time alone
 *     changed, replaced, removed   read
 *
 * What it does not see  a build that looks at sizes and times of files without opening them, or opens
 *                       them with O_NOATIME.
 * Limits                100,000 files, 1 MiB a dependency file; beyond them nothing is known.
 */
#ifndef BUILDERS_EXECUTOR_READS_H
#define BUILDERS_EXECUTOR_READS_H

#include "base/buf.h"
#include "base/error.h"

struct reads {
	struct strings files; /* relative to the checkout, sorted bytewise */
	int64_t marked_ns;    /* when the last one was marked */
	char *unknown;        /* owned; why nothing can be known; NULL */
};
void reads_free(struct reads *reads);

/* Marks the files below source. Fails only when they cannot be looked at. */
bool reads_mark(const char *source, struct reads *out_reads, struct error *err) must_use;

/*
 * After the build.
 *
 * inside    what the build saw source as ("/codebuild/src")
 * out_read  those of the marked files that were read, sorted
 * out_unknown  owned; else why nothing is known, and *out_read is empty
 */
bool reads_collect(const struct reads *reads, const char *source, const char *inside,
	struct strings *out_read, char **out_unknown, struct error *err) must_use;

#endif
