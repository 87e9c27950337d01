/*
 * linker_map.h - which archives and object files the linker put into a program, from the map that it
 *                writes (-Wl,-Map=FILE): the one record of static libraries, which leave no trace in
 *                the program itself.
 *
 * Reads the maps of GNU ld, gold, lld and mold. What a section was discarded from is not counted.
 *
 * Limits  256 MiB, 100,000 different files, paths of 4,096 bytes.
 */
#ifndef BUILDERS_EVIDENCE_LINKER_MAP_H
#define BUILDERS_EVIDENCE_LINKER_MAP_H

#include "base/buf.h"
#include "base/error.h"

struct linker_map {
	struct strings archives; /* "/usr/lib/x86_64-linux-gnu/libz.a", normalised, sorted */
	struct strings
		objects; /* files that were linked whole: "build/main.o", "/usr/lib/…/Scrt1.o" */
};
void linker_map_free(struct linker_map *map);

/* Fails with ERROR_INVALID (no map of a linker), ERROR_LIMIT. what names it in errors. */
bool linker_map_parse(struct str text, const char *what, struct linker_map *out_map,
	struct error *err) must_use;
bool linker_map_read(const char *path, struct linker_map *out_map, struct error *err) must_use;

#endif
