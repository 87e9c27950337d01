#include "pipeline/cli/command.h"

#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/plan/project.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct option_set options = {
	.usage = "init [DIR]",
	.about = "write a first " PROJECT_FILE " from what lies in the repository",
	.word_max = 1,
};

enum { DEPTH_MAX = 6, SERVICES_MAX = 500 };

struct found {
	struct strings folders; /* relative; each has a buildspec.yml */
};

static bool note_buildspec(void *context, const char *relative, const struct stat *status,
	struct error *err)
{
	struct found *found = context;
	size_t depth = 0;

	(void)err;
	for (const char *at = relative; *at; at++)
		depth += *at == '/';
	if (!S_ISREG(status->st_mode) || strcmp(path_base(relative), "buildspec.yml") != 0 ||
		depth > DEPTH_MAX || found->folders.count == SERVICES_MAX)
		return true;
	scoped(text_free) char *folder = path_parent(relative);

	/* What was built or installed holds copies of other people's files. */
	if (!text_starts_with(folder, ".git") && !text_starts_with(folder, "build/") &&
		!strstr(folder, "node_modules"))
		strings_add(&found->folders, folder);
	return true;
}

/* A name that the project file accepts: "Services/My Rooms" -> "my-rooms". */
static char *name_of(const char *folder)
{
	const char *base = path_base(folder);
	struct buf name = {0};

	for (; *base; base++) {
		char c = (char)tolower((unsigned char)*base);

		if (isalnum((unsigned char)c) || ((c == '-' || c == '_') && name.size))
			buf_append_char(&name, c);
		else if (name.size)
			buf_append_char(&name, '-');
	}
	while (name.size && (name.data[name.size - 1] == '-' || name.size > 63))
		name.size--;
	if (!name.size)
		buf_append_text(&name, "service");
	return buf_take(&name);
}

static bool has_file(const char *root, const char *folder, const char *name)
{
	scoped(text_free) char *at = path_join(root, folder);
	scoped(text_free) char *path = path_join(at, name);

	return file_exists(path);
}

static void append_service(struct buf *out, const char *root, const char *folder,
	const struct strings *used)
{
	scoped(text_free) char *name = name_of(folder);

	if (strings_contain(used, name))
		buf_printf(out, "  # a second service is called %s: give %s a name of its own\n",
			name, folder);
	const char *mark = strings_contain(used, name) ? "#" : "";

	buf_printf(out, "%s  %s:\n%s    path: %s\n", mark, name, mark, folder);
	if (has_file(root, folder, "Dockerfile"))
		buf_printf(out, "%s    image: {dockerfile: Dockerfile}\n", mark);
	else if (has_file(root, folder, "deploy/task.json"))
		buf_printf(out, "%s    image: {binary: build/%s, port: 8080}\n", mark, name);
	if (has_file(root, folder, "deploy/task.json") &&
		has_file(root, folder, "deploy/service.json"))
		buf_printf(out,
			"%s    deploy: {task: deploy/task.json, service: deploy/service.json}\n",
			mark);
}

static void write_project(struct buf *out, const char *root, const char *app,
	const struct found *found)
{
	scoped(strings_free) struct strings used = {0};

	buf_printf(out,
		"# What dogshore builds and where it goes; \"dogshore check\" checks it.\n"
		"app: %s\n\nservices:\n",
		app);
	for (size_t i = 0; i < found->folders.count; i++) {
		append_service(out, root, found->folders.items[i], &used);
		strings_add_owned(&used, name_of(found->folders.items[i]));
	}
	if (!found->folders.count)
		buf_append_text(out, "  # rooms:\n  #   path: services/rooms  # with a "
				     "buildspec.yml in it\n  {}\n");
	buf_append_text(out, "\nenvironments:\n  local: {target: local}\n");
}

static bool run(struct command_context *context, struct error *err)
{
	const char *folder = context->words.count ? context->words.items[0] : ".";
	scoped(text_free) char *path = path_join(folder, PROJECT_FILE);
	scoped(text_free) char *root = realpath(folder, NULL);
	struct found found = {0};
	scoped(buf_free) struct buf text = {0};

	if (!root)
		return error_raise_errno(err, "look into \"%s\"", folder);
	if (file_exists(path)) {
		error_raise(err, ERROR_CONFLICT, "\"%s\" exists already", path);
		return error_next(err, "\"dogshore check\" says whether it is valid");
	}
	bool done = folder_walk(folder, note_buildspec, &found, err);
	scoped(text_free) char *app = name_of(root);

	if (done)
		write_project(&text, folder, app, &found);
	done = done && file_write(path, buf_str(&text), 0644, false, err);
	size_t count = found.folders.count;

	strings_free(&found.folders);
	if (!done)
		return false;
	if (context->json) {
		struct json_writer w = json_writer_start(&context->result);

		json_object_begin(&w);
		json_put_text(&w, "path", path);
		json_put_int(&w, "services", (int64_t)count);
		json_object_end(&w);
	} else {
		printf("%s names %zu services (folders with a buildspec.yml); look it over, then "
		       "\"dogshore check\"\n",
			path, count);
	}
	return true;
}

const struct command init_command = {"init", &options, run, false};
