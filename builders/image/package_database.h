/*
 * package_database.h - which Debian package a file of this machine is from, and what dpkg knows about
 *                      that package.
 *
 * Read from dpkg's own files (status, info/<package>.list, diversions), never by running dpkg-query.
 * A path is found in both spellings where /lib is a link to usr/lib (Debian 12 lists
 * "/lib/x86_64-linux-gnu/libz.so.1", Debian 13 lists it below /usr), and a diverted file under the
 * name it was diverted to. The lists are read once; then an index (package_index.h) answers until
 * dpkg installs or removes something.
 *
 * A machine without dpkg has an empty database: no file is of any package.
 *
 * Ownership  the database owns its packages; they stay where they are until it is freed.
 * Limits     65,534 packages, status file 256 MiB, one list 64 MiB.
 */
#ifndef BUILDERS_IMAGE_PACKAGE_DATABASE_H
#define BUILDERS_IMAGE_PACKAGE_DATABASE_H

#include "base/buf.h"
#include "base/error.h"

struct package {
	char *name, *version, *architecture; /* owned */
	char *source, *source_version;       /* owned; of the source package, often the same */
	struct str stanza;                   /* its control fields; borrowed from the database */
	char *copyright; /* owned; the file's real path here; NULL: there is none */
	char *md5sums;   /* owned; path of dpkg's list of sums; NULL: there is none */
};

/* Where to look; all borrowed for the call. */
struct package_places {
	const char *dpkg;  /* NULL: "/var/lib/dpkg" */
	const char *root;  /* the folder that the lists' paths start in; NULL: "/" */
	const char *index; /* file to keep the index in; NULL: it is not kept */
};

/* A control field's value, "" when it has none. */
struct str package_field(const struct package *package, const char *name);

struct package_database;

/* Never fails for want of dpkg. Fails with ERROR_LIMIT, ERROR_INVALID (a status file that is none). */
bool package_database_open(const struct package_places *places,
	struct package_database **out_database, struct error *err) must_use;
void package_database_free(struct package_database **database);

/* The package that the file or link at an absolute path belongs to; NULL: none. */
const struct package *package_database_find(struct package_database *database, const char *path);

/* By name, of any architecture; NULL: not installed. Slow: reads the status file. */
const struct package *package_database_named(struct package_database *database, const char *name);

/* The system's name in package URLs: "debian" and "12", from os-release; "debian" and "" when that
 * does not say. */
const char *package_database_distribution(const struct package_database *database);
const char *package_database_distribution_version(const struct package_database *database);

#endif
