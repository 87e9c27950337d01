#include "builders/image/loader_list.h"

#include "base/memory.h"
#include "builders/image/loader_root.h"

bool loader_line_parse(struct str line, struct loader_line *out_line)
{
	static const char arrow[] = " => ";
	struct str name = str_trim(line);
	const char *at = name.size ? memmem(name.data, name.size, arrow, sizeof(arrow) - 1) : NULL;
	struct str path = name;

	if (at) {
		path.data = at + sizeof(arrow) - 1;
		path.size = (size_t)(name.data + name.size - path.data);
		name.size = (size_t)(at - name.data);
	} else {
		name = (struct str){0};
	}
	if (at && str_equal_text(path, "not found")) {
		*out_line = (struct loader_line){.name = name};
		return true;
	}
	if (path.size == 0 || path.data[0] != '/' || path.data[path.size - 1] != ')')
		return false;
	/* "/path (0x00007f…)" */
	while (path.size > 0 && path.data[path.size - 1] != '(')
		path.size--;
	if (path.size < 3)
		return false;
	path.size -= 2;
	*out_line = (struct loader_line){name, path};
	return true;
}

/* Is the library loaded when the program starts, and not only once somebody opens one by name? */
static bool is_loaded_at_start(const struct library *library)
{
	for (; library->asker; library = library->asker)
		if (library->role != LIBRARY_NEEDED && library->role != LIBRARY_LOADER)
			return false;
	return true;
}

/* A scope is a program or plug-in and what was found for it. */
static bool is_in_list(const struct closure *closure, size_t program, bool plug_ins, size_t index)
{
	size_t scope = index;

	while (scope > 0 && closure_at(closure, scope)->role != LIBRARY_PROGRAM)
		scope--;
	return scope == program ||
	       (plug_ins && closure_at(closure, scope)->opener == closure_at(closure, program));
}

struct comparison {
	const struct closure *closure;
	const struct tree *tree;
	struct strings listed; /* paths, resolved */
	struct buf differences;
};

static void differ(struct comparison *c, const char *format, const char *what, const char *more)
{
	buf_append_text(&c->differences, c->differences.size ? "; " : "");
	buf_append_text(&c->differences, what);
	buf_append_text(&c->differences, format);
	buf_append_text(&c->differences, more);
}

static bool is_known(const struct comparison *c, size_t program, bool plug_ins, const char *path)
{
	for (size_t i = 0; i < closure_count(c->closure); i++) {
		if (!is_in_list(c->closure, program, plug_ins, i))
			continue;
		scoped(text_free) char *ours =
			loader_root_resolve(c->tree, closure_at(c->closure, i)->image_path);
		if (text_equal(ours, path))
			return true;
	}
	return false;
}

static void read_list(struct comparison *c, size_t program, bool plug_ins, struct str list)
{
	struct loader_line line;

	while (list.data) {
		if (!loader_line_parse(str_cut(&list, '\n'), &line))
			continue;
		scoped(text_free) char *name = str_copy(line.name);
		scoped(text_free) char *path = str_copy(line.path);
		if (line.path.size == 0) {
			differ(c, " is not found by the loader", name, "");
			continue;
		}
		char *resolved = loader_root_resolve(c->tree, path);
		if (!resolved || !is_known(c, program, plug_ins, resolved))
			differ(c, " is loaded from ", *name ? name : path, path);
		if (resolved)
			strings_add_owned(&c->listed, resolved);
	}
}

static void find_missing(struct comparison *c, size_t program)
{
	for (size_t i = 0; i < closure_count(c->closure); i++) {
		const struct library *l = closure_at(c->closure, i);
		if (l->role != LIBRARY_NEEDED || !is_loaded_at_start(l) ||
			!is_in_list(c->closure, program, false, i))
			continue;
		scoped(text_free) char *path = loader_root_resolve(c->tree, l->image_path);
		if (!path || !strings_contain(&c->listed, path))
			differ(c, " is not loaded from ", l->asked, l->image_path);
	}
}

bool loader_list_compare(const struct closure *closure, const struct tree *tree, size_t program,
	bool plug_ins, struct str list, struct error *err)
{
	struct comparison c = {.closure = closure, .tree = tree};

	read_list(&c, program, plug_ins, list);
	if (!plug_ins)
		find_missing(&c, program);
	strings_free(&c.listed);
	scoped(buf_free) struct buf differences = c.differences;
	if (differences.size == 0)
		return true;
	error_raise(err, ERROR_CONFLICT,
		"in the image, %s would not be loaded with the libraries that were put in for it: "
		"%s",
		closure_at(closure, program)->name, buf_text(&differences));
	error_while(err, "asking the image's own loader");
	return error_next(err,
		"does a --file hide a library, or a folder of the program's rpath hold another one "
		"of that name? --explain shows what is in the image");
}
