#include "builders/image/companion_files.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <ctype.h>
#include <dirent.h>
#include <unistd.h>

#define BUNDLE "/etc/ssl/certs/ca-certificates.crt"

static const char *or_default(const char *given, const char *path)
{
	return given ? given : path;
}

bool companion_certificates(struct closure *closure, const char *who, struct error *err)
{
	const char *bundle = or_default(closure->options.certificates, BUNDLE);
	scoped(text_free) char *why = memory_format("%s verifies peers with it", who);

	if (access(bundle, R_OK) == 0)
		return tree_add_file(closure->tree, BUNDLE, bundle, LAYER_CERTIFICATES, why, err);
	strings_printf(closure->warnings,
		"%s is in the image, but \"%s\" is not here: TLS connections will fail to verify "
		"(install ca-certificates)",
		who, bundle);
	return true;
}

static bool add_if_here(struct closure *closure, const char *path, const char *why,
	struct error *err)
{
	return access(path, R_OK) != 0 ||
	       tree_add_host_file(closure->tree, path, LAYER_CERTIFICATES, why, err);
}

/* libssl has OPENSSLDIR=/usr/lib/ssl compiled in, on Debian; cert.pem there leads to the bundle. */
bool companion_openssl_configuration(struct closure *closure, const char *who, struct error *err)
{
	scoped(text_free) char *why = memory_format("%s verifies peers with it", who);

	if (access(or_default(closure->options.certificates, BUNDLE), R_OK) != 0)
		return true;
	return add_if_here(closure, "/usr/lib/ssl/cert.pem", why, err) &&
	       add_if_here(closure, "/usr/lib/ssl/openssl.cnf", "OpenSSL reads it", err);
}

/* An ELF file of this machine at the same path in the image, and what it needs. */
static bool add_module(struct closure *closure, const char *path, const char *why,
	struct error *err)
{
	return closure_add(closure, path, path, err) &&
	       tree_add_host_file(closure->tree, path, LAYER_LIBRARIES, why, err);
}

bool companion_plug_in(struct closure *closure, const char *name, const char *why, bool *out_found,
	struct error *err)
{
	scoped(library_search_free) struct library_search search = {.places = &closure->places,
		.asker = closure->libraries[0],
		.name = str_of(name)};

	*out_found = closure_has(closure, name);
	if (*out_found || !library_search_run(&search))
		return true;
	*out_found = true;
	if (!search.image_path)
		return add_module(closure, search.path, why, err);
	return closure_add(closure, search.path, search.image_path, err) &&
	       tree_add_file(closure->tree, search.image_path, search.path, LAYER_LIBRARIES, why,
		       err);
}

/* Every file in folder whose name ends in suffix, sorted; none when there is no such folder. */
static void list_folder(const char *folder, const char *suffix, struct strings *out)
{
	DIR *dir = opendir(folder);

	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_name[0] != '.' && text_ends_with(entry->d_name, suffix))
			strings_add(out, entry->d_name);
	closedir(dir);
	strings_sort(out);
}

static bool add_modules(struct closure *closure, const char *folder, const char *why,
	size_t *out_count, struct error *err)
{
	scoped(strings_free) struct strings names = {0};

	list_folder(folder, ".so", &names);
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *path = path_join(folder, names.items[i]);
		if (!add_module(closure, path, why, err))
			return false;
	}
	*out_count += names.count;
	return true;
}

bool companion_openssl_modules(struct closure *closure, const char *who, struct error *err)
{
	static const char *const folders[] = {"ossl-modules", "engines-3", "engines-1.1"};
	scoped(text_free) char *why = memory_format("%s can load it; --with openssl-modules", who);
	size_t count = 0;

	for (size_t i = 0; i < closure->places.folders.count; i++)
		for (size_t k = 0; k < countof(folders); k++) {
			scoped(text_free) char *folder =
				path_join(closure->places.folders.items[i], folders[k]);
			/* /lib and /usr/lib are often one folder: the first name is enough. */
			if (count == 0 || text_starts_with(folder, "/usr"))
				if (!add_modules(closure, folder, why, &count, err))
					return false;
		}
	return true;
}

static char *gconv_folder(const struct closure *closure)
{
	for (size_t i = 0; i < closure->places.folders.count; i++) {
		char *folder = path_join(closure->places.folders.items[i], "gconv");
		/* libc has the path below /usr compiled in. */
		if (text_starts_with(folder, "/usr/") && file_is_folder(folder))
			return folder;
		text_free(&folder);
	}
	strings_add(closure->warnings,
		"--with gconv: this machine has no converters of glibc (on Debian: libc6)");
	return NULL;
}

static struct str word_of(struct str *line)
{
	*line = str_trim(*line);
	size_t size = 0;
	while (size < line->size && line->data[size] != ' ' && line->data[size] != '\t')
		size++;
	struct str word = {line->data, size};
	*line = (struct str){line->data + size, line->size - size};
	return word;
}

static bool is_among(struct str word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (str_equal_text(word, list[i]))
			return true;
	return false;
}

/* "module FROM TO FILE COST" for our files, then "alias OTHER NAME" for the names that they have. */
void companion_filter_gconv(struct str text, const char *const *modules, size_t count,
	struct buf *out)
{
	scoped(strings_free) struct strings names = {0};

	for (int round = 0; round < 2; round++) {
		struct str rest = text;
		while (rest.data) {
			struct str whole = str_cut(&rest, '\n'), line = whole;
			struct str kind = word_of(&line), one = word_of(&line),
				   two = word_of(&line), file = word_of(&line);
			if (round == 0 && str_equal_text(kind, "module") &&
				is_among(file, modules, count)) {
				strings_add_owned(&names, str_copy(one));
				strings_add_owned(&names, str_copy(two));
			} else if (round == 0 || !str_equal_text(kind, "alias") ||
				   !is_among(two, (const char *const *)names.items, names.count)) {
				continue;
			}
			buf_append_str(out, whole);
			buf_append_char(out, '\n');
		}
	}
}

bool companion_gconv(struct closure *closure, const char *who, struct error *err)
{
	static const char *const modules[] = {"UTF-16", "UTF-32", "UTF-7", "UNICODE", "ISO8859-1",
		"ISO8859-15", "CP1252"};
	scoped(text_free) char *folder = gconv_folder(closure);
	scoped(text_free) char *why =
		memory_format("%s converts character sets; --with gconv", who);
	scoped(buf_free) struct buf text = {0}, kept = {0};

	if (!folder)
		return true;
	scoped(text_free) char *list = path_join(folder, "gconv-modules");
	if (!file_read(list, 1 << 20, &text, err))
		return false;
	companion_filter_gconv(buf_str(&text), modules, countof(modules), &kept);
	if (!tree_add_content(closure->tree, list, buf_str(&kept), LAYER_LIBRARIES, why, err))
		return false;
	for (size_t i = 0; i < countof(modules); i++) {
		scoped(text_free) char *path = memory_format("%s/%s.so", folder, modules[i]);
		if (access(path, R_OK) == 0 && !add_module(closure, path, why, err))
			return false;
	}
	return true;
}

bool companion_gconv_all(struct closure *closure, const char *who, struct error *err)
{
	static const char *const lists[] = {"gconv-modules", "gconv-modules.cache"};
	scoped(text_free) char *folder = gconv_folder(closure);
	scoped(text_free) char *why =
		memory_format("%s converts character sets; --with gconv-all", who);
	size_t count = 0;

	if (!folder)
		return true;
	for (size_t i = 0; i < countof(lists); i++) {
		scoped(text_free) char *path = path_join(folder, lists[i]);
		if (access(path, R_OK) == 0 &&
			!tree_add_host_file(closure->tree, path, LAYER_LIBRARIES, why, err))
			return false;
	}
	scoped(text_free) char *more = path_join(folder, "gconv-modules.d");
	if (file_is_folder(more) &&
		!tree_add_all(closure->tree, more, more, LAYER_LIBRARIES, why, err))
		return false;
	return add_modules(closure, folder, why, &count, err);
}

static bool add_locale_folder(struct closure *closure, const char *name, const char *why,
	bool *out_found, struct error *err)
{
	scoped(text_free) char *source =
		path_join(or_default(closure->options.locales, "/usr/lib/locale"), name);
	scoped(text_free) char *path = path_join("/usr/lib/locale", name);

	*out_found = file_is_folder(source);
	return !*out_found ||
	       tree_add_all(closure->tree, path, source, LAYER_CERTIFICATES, why, err);
}

bool companion_locale(struct closure *closure, const char *who, struct error *err)
{
	scoped(text_free) char *why = memory_format("%s sets its locale; --with locale", who);
	bool found;

	if (!add_locale_folder(closure, "C.utf8", why, &found, err))
		return false;
	if (!found)
		strings_add(closure->warnings,
			"--with locale: this machine has no /usr/lib/locale/C.utf8 (on Debian: "
			"libc-bin)");
	return true;
}

/* glibc looks for "de_DE.UTF-8" and then for the codeset without case and punctuation. */
static char *normal_locale(const char *value)
{
	const char *dot = strchr(value, '.');
	struct buf out = {0};

	if (!dot)
		return memory_copy_text(value);
	buf_append(&out, value, (size_t)(dot - value) + 1);
	for (const char *at = dot + 1; *at && *at != '@'; at++)
		if (isalnum((unsigned char)*at))
			buf_append_char(&out, (char)tolower((unsigned char)*at));
	const char *modifier = strchr(dot, '@');
	buf_append_text(&out, modifier ? modifier : "");
	return buf_take(&out);
}

static bool is_a_name(const char *value)
{
	return *value && *value != '.' && !strstr(value, "..") && strlen(value) < 256;
}

bool companion_locale_of(struct closure *closure, const char *value, const char *variable,
	struct error *err)
{
	scoped(text_free) char *why = memory_format("%s=%s asks for it", variable, value);
	scoped(text_free) char *normal = normal_locale(value);
	bool found = false;

	if (!*value || text_equal(value, "C") || text_equal(value, "POSIX"))
		return true;
	if (is_a_name(value) && !strchr(value, '/') &&
		(!add_locale_folder(closure, value, why, &found, err) ||
			(!found && !add_locale_folder(closure, normal, why, &found, err))))
		return false;
	if (!found)
		strings_printf(closure->warnings,
			"%s=%s: the locale has no folder in /usr/lib/locale, so the program will "
			"run in "
			"the locale C (localedef --no-archive makes the folder)",
			variable, value);
	return true;
}

static const char *zones_of(const struct closure *closure)
{
	return or_default(closure->options.zones, "/usr/share/zoneinfo");
}

bool companion_zone_of(struct closure *closure, const char *value, const char *variable,
	struct error *err)
{
	const char *name = value + (*value == ':');
	scoped(text_free) char *why = memory_format("%s=%s asks for it", variable, value);
	scoped(text_free) char *source = path_join(zones_of(closure), name);
	scoped(text_free) char *path = path_join("/usr/share/zoneinfo", name);

	/* "CET-1CEST" and an absolute path need no folder of zones. */
	if (!is_a_name(name) || name[0] == '/' || text_equal(name, "UTC"))
		return true;
	if (access(source, R_OK) == 0 && !file_is_folder(source))
		return tree_add_file(closure->tree, path, source, LAYER_CERTIFICATES, why, err);
	if (!strpbrk(name, "0123456789"))
		strings_printf(closure->warnings,
			"%s=%s: \"%s\" is not here, so the program will run in UTC (install "
			"tzdata)",
			variable, value, source);
	return true;
}

/* posix/ repeats all zones, right/ counts leap seconds; localtime is this machine's. */
bool companion_zones(struct closure *closure, const char *who, struct error *err)
{
	static const char *const not [] = {"posix", "right", "localtime", "posixrules"};
	const char *folder = zones_of(closure);
	scoped(strings_free) struct strings names = {0};

	(void)who;
	list_folder(folder, "", &names);
	if (names.count == 0)
		strings_printf(closure->warnings,
			"--with tzdata: \"%s\" is not here (install tzdata)", folder);
	for (size_t i = 0; i < names.count; i++) {
		scoped(text_free) char *source = path_join(folder, names.items[i]);
		scoped(text_free) char *path = path_join("/usr/share/zoneinfo", names.items[i]);
		if (is_among(str_of(names.items[i]), not, countof(not )))
			continue;
		if (!tree_add_all(closure->tree, path, source, LAYER_CERTIFICATES,
			    "time zones; --with tzdata", err))
			return false;
	}
	return true;
}
