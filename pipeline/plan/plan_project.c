#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/plan/plan.h"

#include <string.h>

enum { PROJECT_BYTES_MAX = 1024 * 1024 };

bool plan_read_project(struct snapshot *snapshot, struct project **out_project, struct error *err)
{
	scoped(buf_free) struct buf text = {0};

	if (!snapshot_read(snapshot, PROJECT_FILE, PROJECT_BYTES_MAX, &text, err))
		return error_next(err,
			"\"dogshore init\" writes a first " PROJECT_FILE "; commit it");
	if (!project_parse(buf_str(&text), PROJECT_FILE, NULL, out_project, err)) {
		error_while(err, "reading " PROJECT_FILE " of commit %.12s",
			snapshot_commit(snapshot));
		return error_next(err, "\"dogshore check\" lists all that is wrong with it");
	}
	return true;
}

/* Small files are parsed faster than a cache is looked up. Sixteen places are enough for the
 * versions that branches have at one time, and can never fill a disk. */
enum { CACHED_BYTES_LEAST = 16 * 1024, CACHE_PLACES = 16, CACHE_BYTES_MAX = 8 * 1024 * 1024 };

static char *cache_path(const char *state, const char *id)
{
	unsigned place = 0;

	for (const char *at = id; *at; at++)
		place = place * 31 + (unsigned char)*at;
	return memory_format("%s/projects/%u", state, place % CACHE_PLACES);
}

/* The cache holds the file's id and then the project. */
static bool load_cached(const char *path, const char *id, struct project **out_project)
{
	scoped(buf_free) struct buf bytes = {0};
	struct str rest;

	if (!file_read(path, CACHE_BYTES_MAX, &bytes, NULL) || bytes.size < GIT_ID_SIZE ||
		memcmp(bytes.data, id, GIT_ID_SIZE) != 0)
		return false;
	rest = (struct str){bytes.data + GIT_ID_SIZE, bytes.size - GIT_ID_SIZE};
	return project_load(rest, out_project);
}

static void save_cached(const char *path, const char *id, const struct project *project)
{
	scoped(text_free) char *folder = path_parent(path);
	scoped(buf_free) struct buf bytes = {0};
	scoped(error_free) struct error err = {0};

	buf_append(&bytes, id, GIT_ID_SIZE);
	project_save(project, &bytes);
	if (!folder_make(folder, 0700, &err) ||
		!file_write(path, buf_str(&bytes), 0600, false, &err))
		error_ignore(&err, "the next command parses again");
}

bool plan_read_project_cached(struct snapshot *snapshot, const char *state,
	struct project **out_project, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	enum entry_kind kind = ENTRY_NONE;
	char id[GIT_ID_SIZE] = "";

	if (!snapshot_find(snapshot, PROJECT_FILE, &kind, id, err))
		return false;
	scoped(text_free) char *path = cache_path(state, id);

	if (kind != ENTRY_NONE && load_cached(path, id, out_project))
		return true;
	if (!plan_read_project(snapshot, out_project, err))
		return false;
	if (snapshot_read(snapshot, PROJECT_FILE, PROJECT_BYTES_MAX, &text, NULL) &&
		text.size >= CACHED_BYTES_LEAST)
		save_cached(path, id, *out_project);
	return true;
}
