#include "base/aws/profile.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

struct setting {
	char *section; /* owned; "credentials NAME", "profile NAME", "services NAME", … */
	char *key;     /* owned; NULL: the section's own row, so that an empty one is known */
	char *value;   /* owned */
};

struct profiles {
	struct setting *rows; /* owned */
	size_t count;
};

static void add(struct profiles *profiles, const char *section, char *key, char *value)
{
	profiles->rows =
		memory_resize(profiles->rows, (profiles->count + 1) * sizeof(*profiles->rows));
	profiles->rows[profiles->count++] = (struct setting){memory_copy_text(section), key, value};
}

void profiles_free(struct profiles **profiles)
{
	for (size_t i = 0; *profiles && i < (*profiles)->count; i++) {
		struct setting *row = &(*profiles)->rows[i];

		if (row->value)
			explicit_bzero(row->value, strlen(row->value));
		free(row->section);
		free(row->key);
		free(row->value);
	}
	if (*profiles)
		free((*profiles)->rows);
	free(*profiles);
	*profiles = NULL;
}

struct reader {
	struct profiles *profiles;
	const char *path;
	bool is_credentials;
	int line;
	char *section; /* owned; NULL before the first */
	char *parent;  /* owned; the key whose indented lines follow, NULL: none */
};

static void reader_free(struct reader *reader)
{
	free(reader->section);
	free(reader->parent);
}

static struct str without_quotes(struct str text)
{
	if (text.size >= 2 && (text.data[0] == '"' || text.data[0] == '\'') &&
		text.data[text.size - 1] == text.data[0])
		return (struct str){text.data + 1, text.size - 2};
	return text;
}

/* "[default]" and "[profile x]" of config are "profile …", "[x]" of credentials "credentials x". */
static char *section_name(const struct reader *reader, struct str name)
{
	struct str rest = name, kind = str_cut(&rest, ' ');

	if (reader->is_credentials)
		return memory_format("credentials %.*s", str_args(without_quotes(name)));
	rest = without_quotes(str_trim(rest));
	if (rest.size)
		return memory_format("%.*s %.*s", str_args(kind), str_args(rest));
	return memory_format("profile %.*s", str_args(kind));
}

static bool raise_line(const struct reader *reader, const char *problem, struct error *err)
{
	return error_raise(err, ERROR_INVALID, "%s:%d: %s", reader->path, reader->line, problem);
}

static bool read_section(struct reader *reader, struct str line, struct error *err)
{
	struct str rest = {line.data + 1, line.size - 1}, name = str_trim(str_cut(&rest, ']'));

	if (!rest.data || name.size == 0)
		return raise_line(reader, "a section needs a name and a closing bracket", err);
	text_free(&reader->section);
	text_free(&reader->parent);
	reader->section = section_name(reader, name);
	add(reader->profiles, reader->section, NULL, NULL);
	return true;
}

/* A value ends at " #" or " ;". */
static struct str without_comment(struct str value)
{
	for (size_t i = 1; i < value.size; i++)
		if ((value.data[i] == '#' || value.data[i] == ';') &&
			(value.data[i - 1] == ' ' || value.data[i - 1] == '\t'))
			return str_trim((struct str){value.data, i});
	return value;
}

static bool read_setting(struct reader *reader, struct str line, bool indented, struct error *err)
{
	struct str value = line, key = str_trim(str_cut(&value, '='));
	bool nested = indented && reader->parent;

	if (!reader->section)
		return raise_line(reader, "a setting before the first section", err);
	if (!value.data || key.size == 0)
		return raise_line(reader, "expected \"key = value\" or \"[section]\"", err);
	value = without_comment(str_trim(value));
	add(reader->profiles, reader->section,
		nested ? memory_format("%s.%.*s", reader->parent, str_args(key)) : str_copy(key),
		str_copy(value));
	if (!nested) {
		text_free(&reader->parent);
		reader->parent = value.size ? NULL : str_copy(key);
	}
	return true;
}

static bool read_line(struct reader *reader, struct str raw, struct error *err)
{
	struct str line = str_trim(raw);

	if (line.size == 0 || line.data[0] == '#' || line.data[0] == ';')
		return true;
	if (line.data[0] == '[')
		return read_section(reader, line, err);
	return read_setting(reader, line, line.data != raw.data, err);
}

static bool read_file(struct profiles *profiles, const char *variable, const char *name,
	bool is_credentials, struct error *err)
{
	const char *home = getenv("HOME"), *given = getenv(variable);
	scoped(text_free) char *path =
		given && *given ? memory_copy_text(given)
				: memory_format("%s/.aws/%s", home ? home : "", name);
	scoped(buf_free) struct buf text = {0};
	scoped(reader_free) struct reader reader = {.profiles = profiles,
		.path = path,
		.is_credentials = is_credentials};
	struct str rest;

	if (!file_exists(path))
		return true;
	if (!file_read(path, 1 << 20, &text, err))
		return false;
	rest = buf_str(&text);
	while (rest.data) {
		reader.line++;
		if (!read_line(&reader, str_cut(&rest, '\n'), err))
			return false;
	}
	explicit_bzero(text.data, text.size);
	return true;
}

bool profiles_load(struct profiles **out_profiles, struct error *err)
{
	scoped(profiles_free) struct profiles *profiles = memory_new(sizeof(*profiles));

	if (!read_file(profiles, "AWS_CONFIG_FILE", "config", false, err) ||
		!read_file(profiles, "AWS_SHARED_CREDENTIALS_FILE", "credentials", true, err))
		return false;
	*out_profiles = profiles;
	profiles = NULL;
	return true;
}

/* A setting that stands twice counts as it stands last. */
static const char *find(const struct profiles *profiles, const char *kind, const char *name,
	const char *key)
{
	scoped(text_free) char *section = memory_format("%s %s", kind, name);

	for (size_t i = profiles->count; i-- > 0;)
		if (text_equal(profiles->rows[i].section, section) &&
			text_equal(profiles->rows[i].key, key))
			return key ? profiles->rows[i].value : "";
	return NULL;
}

bool profiles_have(const struct profiles *profiles, const char *profile)
{
	return find(profiles, "credentials", profile, NULL) ||
	       find(profiles, "profile", profile, NULL);
}

const char *profiles_get(const struct profiles *profiles, const char *profile, const char *key)
{
	const char *value = find(profiles, "credentials", profile, key);

	return value ? value : find(profiles, "profile", profile, key);
}

const char *profiles_get_service(const struct profiles *profiles, const char *services,
	const char *key)
{
	return find(profiles, "services", services, key);
}
