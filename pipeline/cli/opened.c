#include "pipeline/cli/opened.h"

static bool open_commit(struct opened *opened, const char *folder, const char *rev,
	struct error *err)
{
	return repository_open(folder ? folder : ".", &opened->repository, err) &&
	       repository_resolve(opened->repository, rev ? rev : "HEAD", &opened->commit, err) &&
	       snapshot_open(opened->repository, opened->commit.id, &opened->snapshot, err);
}

bool opened_read(struct opened *opened, const char *folder, const char *rev, struct error *err)
{
	return open_commit(opened, folder, rev, err) &&
	       plan_read_project(opened->snapshot, &opened->project, err);
}

bool opened_read_cached(struct opened *opened, const char *folder, const char *rev,
	const char *state, struct error *err)
{
	return open_commit(opened, folder, rev, err) &&
	       plan_read_project_cached(opened->snapshot, state, &opened->project, err);
}

void opened_free(struct opened *opened)
{
	project_free(&opened->project);
	snapshot_free(&opened->snapshot);
	commit_free(&opened->commit);
	repository_free(&opened->repository);
}
