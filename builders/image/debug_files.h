/*
 * debug_files.h - the debug information of an image's programs, beside the image: a referrer with one
 *                 blob a program, each an ELF file that debuggers find by its build id.
 *
 *     artifact type  application/vnd.dogshore.debug.v1
 *     each blob      application/vnd.dogshore.debug.elf, with the annotations
 *                    org.opencontainers.image.title   <build id>.debug
 *                    dev.dogshore.build-id            hex
 *                    dev.dogshore.path                of the program in the image
 */
#ifndef BUILDERS_IMAGE_DEBUG_FILES_H
#define BUILDERS_IMAGE_DEBUG_FILES_H

#include "builders/image/layout.h"

#define MEDIA_TYPE_DEBUG "application/vnd.dogshore.debug.v1"
#define MEDIA_TYPE_DEBUG_FILE "application/vnd.dogshore.debug.elf"

struct debug_file {
	char *path;     /* owned; of the program in the image */
	char *source;   /* owned; the debug file here */
	char *build_id; /* owned */
	int64_t size_bytes;
};

struct debug_files {
	struct debug_file *items; /* owned */
	size_t count;
	struct digest digest; /* of the referrer; zero: there is none */
};
void debug_files_free(struct debug_files *files);

/*
 * Splits the ELF file at source, which will lie at path.
 *
 * folder       as for debug_split()
 * out_program  owned; the file to put into the image
 */
bool debug_files_split(struct debug_files *files, const char *source, const char *path,
	const char *folder, struct strings *warnings, char **out_program, struct error *err)
	must_use;

/* Adds the referrer to a layout, when there is anything to say. */
bool debug_files_attach(struct debug_files *files, const struct layout *layout,
	const struct layout_entry *subject, struct error *err) must_use;

#endif
