/*
 * tools.h - the commands that CodeBuild's own images have on PATH, for builds here:
 *
 *     codebuild-hash-files GLOB...   one SHA-256 over names and contents of the files that match
 *     codebuild-glob-search GLOB...  the files that match, one a line, sorted by name
 *     codebuild-tests-run --test-command C --files-search C [--sharding-strategy S]
 *                                    C with its shard's part of the files, in a build-fanout
 *     codebuild-breakpoint           stops the build here when somebody watches, else does nothing
 *     codebuild-resume               goes on behind a breakpoint
 *
 * They are shell scripts: a sandbox has sh, findutils and coreutils anyway.
 *
 * Source  buildspec reference, sections 8.2, 11 and 12.
 */
#ifndef BUILDSPEC_TOOLS_H
#define BUILDSPEC_TOOLS_H

#include "base/error.h"

/* Their folder below a shell's control folder. */
#define TOOLS_FOLDER "bin"

/*
 * Writes them into control/bin.
 *
 * break_fds  as the build's commands inherit them: a terminal, and where a breakpoint tells "b" when it
 *            has a shell there and "e" when that has ended; 0: breakpoints do nothing
 */
bool tools_write(const char *control, const int break_fds[2], struct error *err) must_use;

#endif
