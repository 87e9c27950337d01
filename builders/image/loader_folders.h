/*
 * loader_folders.h - the default folders of a glibc loader, read from the loader itself.
 *
 * Which they are was decided when glibc was compiled: /lib/x86_64-linux-gnu and three others on
 * Debian, /lib64 on Fedora, /lib32 for Debian's 32-bit libraries on a 64-bit machine. The loader
 * keeps them as NUL-terminated texts in one row, each with a slash at both ends: "/lib/x/" and "/usr/lib/x/" first.
 *
 * Source  glibc, elf/dl-load.c (SYSTEM_DIRS); the first one without slashes is what $LIB stands for.
 */
#ifndef BUILDERS_IMAGE_LOADER_FOLDERS_H
#define BUILDERS_IMAGE_LOADER_FOLDERS_H

#include "base/buf.h"

/* Appends them, without the last slash. False when bytes, a loader, have no such row. */
bool loader_folders_read(struct str bytes, struct strings *out_folders);

#endif
