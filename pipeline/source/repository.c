#include "pipeline/source/repository.h"

#include "base/memory.h"
#include "pipeline/source/git.h"

#include <stdlib.h>
#include <string.h>

static char *without_slash(const char *path)
{
	size_t size = path ? strlen(path) : 0;

	if (!path)
		return NULL;
	while (size > 1 && path[size - 1] == '/')
		size--;
	return memory_copy(path, size);
}

void repository_warm_up(void)
{
	scoped(error_free) struct error err = {0};

	if (!git_start(&err))
		error_ignore(&err, "who opens a repository will be told");
}

bool repository_open(const char *path, struct repository **out_repository, struct error *err)
{
	git_repository *git = NULL;

	if (!git_start(err))
		return false;
	int code = git_repository_open_ext(&git, path, 0, NULL);

	if (code < 0) {
		scoped(text_free) char *shown = git_public_place(path);

		if (code != GIT_ENOTFOUND)
			return git_raise(err, code, "open the repository \"%s\"", shown);
		error_raise(err, ERROR_NOT_FOUND, "there is no Git repository at \"%s\"", shown);
		if (strstr(path, "://"))
			error_next(err, "a repository elsewhere is for `dogshore serve --remote`; "
					"here one of this machine is needed: git clone");
		return error_next(err, "name one with --repository DIR, or make it: git init");
	}
	struct repository *repository = memory_new(sizeof(*repository));

	repository->git = git;
	repository->git_folder = without_slash(git_repository_commondir(git));
	repository->work_folder = without_slash(git_repository_workdir(git));
	*out_repository = repository;
	return true;
}

void repository_free(struct repository **repository)
{
	if (!*repository)
		return;
	git_repository_free((*repository)->git);
	free((*repository)->git_folder);
	free((*repository)->work_folder);
	free(*repository);
	*repository = NULL;
}

const char *repository_git_folder(const struct repository *repository)
{
	return repository->git_folder;
}

const char *repository_work_folder(const struct repository *repository)
{
	return repository->work_folder;
}

static char *folder_url(const struct repository *repository)
{
	return memory_format("file://%s",
		repository->work_folder ? repository->work_folder : repository->git_folder);
}

char *repository_origin(struct repository *repository)
{
	git_config *config = NULL;
	const char *url = NULL;
	char *place;

	/* A snapshot of the configuration: its texts live as long as it does. */
	if (git_repository_config_snapshot(&config, repository->git) < 0 ||
		git_config_get_string(&url, config, "remote.origin.url") < 0 || !*url)
		place = folder_url(repository);
	else
		place = *url == '/' ? memory_format("file://%s", url) : git_public_place(url);
	git_config_free(config);
	return place;
}

void commit_free(struct commit *commit)
{
	free(commit->author);
	free(commit->subject);
	*commit = (struct commit){0};
}

static void object_free(git_object **object)
{
	git_object_free(*object);
	*object = NULL;
}

static const char *nearest_branch(const struct branches *branches, const char *rev)
{
	const char *names[64] = {0};
	size_t count = 0;

	for (; count < branches->count && count < countof(names); count++)
		names[count] = branches->items[count].name;
	return text_nearest(rev, names, count);
}

static bool raise_no_commit(struct repository *repository, const char *rev, struct error *err)
{
	scoped(branches_free) struct branches branches = {0};

	error_raise(err, ERROR_NOT_FOUND, "there is no commit \"%s\" in \"%s\"", rev,
		repository->git_folder);
	if (!repository_branches(repository, &branches, NULL))
		return false;
	const char *nearest = nearest_branch(&branches, rev);

	if (nearest)
		return error_next(err, "did you mean \"%s\"?", nearest);
	if (!branches.count)
		return error_next(err, "it has no commit yet: make a first one");
	return error_next(err, "a branch, a tag or an id is expected; \"git log\" shows them");
}

bool repository_resolve(struct repository *repository, const char *rev, struct commit *out_commit,
	struct error *err)
{
	scoped(object_free) git_object *object = NULL, *peeled = NULL;
	int code = git_revparse_single(&object, repository->git, rev);

	if (code == GIT_EAMBIGUOUS) {
		error_raise(err, ERROR_USAGE, "\"%s\" is the beginning of several ids", rev);
		return error_next(err, "give more digits");
	}
	/* A commit that a shallow clone or a damaged store lacks ends up here as well. */
	if (code < 0 || git_object_peel(&peeled, object, GIT_OBJECT_COMMIT) < 0)
		return raise_no_commit(repository, rev, err);
	/* peeled is a commit, as asked for; libgit2's types are opaque casts of one another. */
	const git_commit *commit = (const git_commit *)peeled;
	const git_signature *author = git_commit_author(commit);
	const char *message = git_commit_message(commit);

	*out_commit = (struct commit){
		.time_ms = git_commit_time(commit) * 1000,
		.author = memory_format("%s <%s>", author->name, author->email),
		.subject = memory_copy(message, strcspn(message, "\r\n")),
	};
	git_oid_tostr(out_commit->id, sizeof(out_commit->id), git_commit_id(commit));
	if (git_commit_parentcount(commit) > 0)
		git_oid_tostr(out_commit->parent, sizeof(out_commit->parent),
			git_commit_parent_id(commit, 0));
	return true;
}

static void reference_free(git_reference **reference)
{
	git_reference_free(*reference);
	*reference = NULL;
}

bool repository_head_branch(struct repository *repository, char **out_branch, struct error *err)
{
	scoped(reference_free) git_reference *head = NULL;
	int code = git_reference_lookup(&head, repository->git, "HEAD");

	if (code < 0)
		return git_raise(err, code, "read HEAD of \"%s\"", repository->git_folder);
	/* Symbolic also when the branch has no commit yet. */
	const char *target = git_reference_symbolic_target(head);

	*out_branch = target && text_starts_with(target, "refs/heads/")
			      ? memory_copy_text(target + strlen("refs/heads/"))
			      : NULL;
	return true;
}

static void iterator_free(git_reference_iterator **iterator)
{
	git_reference_iterator_free(*iterator);
	*iterator = NULL;
}

static int compare_branches(const void *a, const void *b)
{
	return strcmp(((const struct branch *)a)->name, ((const struct branch *)b)->name);
}

static void add_branch(struct branches *list, git_reference *reference)
{
	scoped(reference_free) git_reference *direct = NULL;
	const char *name = git_reference_name(reference);

	/* A symbolic branch that leads nowhere is no branch. */
	if (git_reference_resolve(&direct, reference) < 0)
		return;
	list->items = memory_resize(list->items, (list->count + 1) * sizeof(*list->items));
	struct branch *branch = &list->items[list->count++];

	branch->name = memory_copy_text(name + strlen("refs/heads/"));
	git_oid_tostr(branch->id, sizeof(branch->id), git_reference_target(direct));
}

bool repository_branches(struct repository *repository, struct branches *out_branches,
	struct error *err)
{
	scoped(branches_free) struct branches list = {0};
	scoped(iterator_free) git_reference_iterator *iterator = NULL;
	git_reference *reference = NULL;
	int code = git_reference_iterator_glob_new(&iterator, repository->git, "refs/heads/*");

	while (code >= 0 && (code = git_reference_next(&reference, iterator)) >= 0) {
		add_branch(&list, reference);
		git_reference_free(reference);
	}
	if (code < 0 && code != GIT_ITEROVER)
		return git_raise(err, code, "list the branches of \"%s\"", repository->git_folder);
	if (list.count)
		qsort(list.items, list.count, sizeof(*list.items), compare_branches);
	*out_branches = list;
	list = (struct branches){0};
	return true;
}

void branches_free(struct branches *branches)
{
	for (size_t i = 0; i < branches->count; i++)
		free(branches->items[i].name);
	free(branches->items);
	*branches = (struct branches){0};
}

bool repository_is_ancestor(struct repository *repository, const char *ancestor, const char *commit,
	bool *out_is, struct error *err)
{
	git_oid below, above;

	if (git_oid_fromstr(&below, ancestor) < 0 || git_oid_fromstr(&above, commit) < 0)
		return error_raise(err, ERROR_USAGE, "\"%s\" or \"%s\" is no whole commit id",
			ancestor, commit);
	int code = git_oid_equal(&below, &above)
			   ? 1
			   : git_graph_descendant_of(repository->git, &above, &below);

	if (code < 0 && code != GIT_ENOTFOUND)
		return git_raise(err, code, "compare the commits %s and %s", ancestor, commit);
	*out_is = code == 1;
	return true;
}
