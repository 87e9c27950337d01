#include "builders/image/companions.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/image/companion_files.h"

#include <ctype.h>

struct companion {
	/* What sets it off; a row may have several, each is enough. */
	const char *library;  /* the start of a library's name */
	unsigned imports;     /* ELF_IMPORTS_…, */
	bool programs_only;   /* … of programs and plug-ins, not of libraries */
	const char *harmless; /* … not of these: "libstdc++.so|libidn2.so" */
	const char *request;  /* then waits for --with REQUEST */
	/* What it adds. */
	const char *load; /* a library, by its name */
	bool (*add)(struct closure *closure, const char *who, struct error *err);
	/* Words. */
	const char *why;     /* of load */
	const char *advice;  /* when it was not requested: "<who> <advice>" */
	const char *not_for; /* load: a version of the library that has it built in */
};

static const struct companion companions[] = {
	{.library = "libc.so.6",
		.load = "libgcc_s.so.1",
		.why = "libc loads it for pthread_cancel and backtraces"},
	/* Since 2.34 names are looked up in files and by DNS within libc. */
	{.library = "libc.so.6",
		.load = "libnss_files.so.2",
		.not_for = "GLIBC_2.34",
		.why = "libc looks up users, groups and hosts with it (nsswitch.conf)"},
	{.library = "libc.so.6",
		.load = "libnss_dns.so.2",
		.not_for = "GLIBC_2.34",
		.why = "libc looks up hosts with it (nsswitch.conf)"},
	{.library = "libnss3.so",
		.load = "libsoftokn3.so",
		.why = "libnss3 loads its ciphers from it"},
	{.library = "libsoftokn3.so",
		.load = "libfreebl3.so",
		.why = "libsoftokn3 loads its arithmetic from it"},
	{.library = "libssl.so", .add = companion_certificates},
	{.library = "libssl.so", .add = companion_openssl_configuration},
	{.library = "libgnutls.so", .add = companion_certificates},
	{.library = "libcrypto.so", .request = "openssl-modules", .add = companion_openssl_modules},
	/* Those named only convert from the locale's character set, which is one of libc's own. */
	{.imports = ELF_IMPORTS_ICONV,
		.harmless = "libidn2.so|libpsl.so|libstdc++.so|libunistring.so",
		.request = "gconv",
		.add = companion_gconv,
		.advice = "may convert character sets (iconv_open): the image has UTF-8, ASCII and "
			  "UCS "
			  "only; --with gconv adds UTF-16, ISO 8859-1 and others"},
	{.request = "gconv-all", .add = companion_gconv_all},
	{.imports = ELF_IMPORTS_LOCALE,
		.programs_only = true,
		.request = "locale",
		.add = companion_locale,
		.advice =
			"may take a locale from the environment (setlocale): the image has C only; "
			"--with locale adds C.UTF-8"},
	{.request = "tzdata", .add = companion_zones},
};

static bool among_choices(const char *choices, const char *word)
{
	struct str rest = str_of(choices);

	while (rest.data)
		if (str_equal_text(str_cut(&rest, '|'), word))
			return true;
	return false;
}

bool companions_requested(const struct closure_options *options, const char *request)
{
	return options->with && strings_contain(options->with, request);
}

bool companions_add_libraries(struct closure *closure, struct library *library, struct error *err)
{
	for (size_t i = 0; i < countof(companions); i++) {
		const struct companion *row = &companions[i];
		bool found;

		if (!row->load || !text_starts_with(library->name, row->library) ||
			(row->not_for &&
				elf_defines_version(&library->file->elf, str_of(row->not_for))))
			continue;
		if (!closure_find_by_name(closure, library, row->load, row->why, &found, err))
			return false;
		if (!found && !strings_contain(closure->warnings, row->load))
			strings_printf(closure->warnings, "%s is not here and not in the image: %s",
				row->load, row->why);
	}
	return true;
}

static bool sets_off(const struct companion *row, const struct library *library)
{
	struct str rest = str_of(row->harmless);

	if (row->library && text_starts_with(library->name, row->library))
		return true;
	while (rest.size > 0) {
		struct str name = str_cut(&rest, '|');
		if (strncmp(library->name, name.data, name.size) == 0)
			return false;
	}
	return (library->file->elf.imports & row->imports) &&
	       (!row->programs_only || library->role == LIBRARY_PROGRAM);
}

/* "a", "a and b", "a, b and 3 more". False when nobody sets the row off. */
static bool who_sets_off(const struct closure *closure, const struct companion *row,
	struct buf *out)
{
	struct strings names = {0};

	for (size_t i = 0; i < closure->count; i++) {
		const struct library *library = closure->libraries[i];
		if (sets_off(row, library) && !strings_contain(&names, library->name))
			strings_add(&names, library->name);
	}
	for (size_t i = 0; i < names.count && i < 3; i++)
		buf_printf(out, "%s%s",
			i == 0                 ? ""
			: i + 1 == names.count ? " and "
					       : ", ",
			names.items[i]);
	if (names.count > 3)
		buf_printf(out, " and %zu more", names.count - 3);
	strings_free(&names);
	return out->size > 0;
}

/* The value of a variable in the image's environment; NULL when it is not set. */
static const char *variable(const struct closure *closure, const char *name)
{
	const struct strings *env = closure->options.env;
	size_t size = strlen(name);

	for (size_t i = env ? env->count : 0; i-- > 0;)
		if (strncmp(env->items[i], name, size) == 0 && env->items[i][size] == '=')
			return env->items[i] + size + 1;
	return NULL;
}

static const char *const locale_variables[] = {"LC_ALL", "LC_CTYPE", "LC_COLLATE", "LC_MESSAGES",
	"LC_MONETARY", "LC_NUMERIC", "LC_TIME", "LANG"};

static bool names_a_locale(const struct closure *closure)
{
	for (size_t i = 0; i < countof(locale_variables); i++)
		if (variable(closure, locale_variables[i]))
			return true;
	return false;
}

static bool add_rows(struct closure *closure, struct error *err)
{
	/* closure_add() from within a row makes the list longer; what was there decides. */
	for (size_t i = 0; i < countof(companions); i++) {
		const struct companion *row = &companions[i];
		scoped(buf_free) struct buf who = {0};
		bool set_off = who_sets_off(closure, row, &who);
		bool requested =
			row->request && companions_requested(&closure->options, row->request);

		if (!row->add || (closure->musl && (row->imports || row->request) && !requested))
			continue;
		if (row->request ? requested : set_off) {
			if (!row->add(closure, set_off ? buf_text(&who) : "the program", err))
				return false;
		} else if (set_off && row->advice &&
			   !((row->imports & ELF_IMPORTS_LOCALE) && names_a_locale(closure)) &&
			   !((row->imports & ELF_IMPORTS_ICONV) &&
				   companions_requested(&closure->options, "gconv-all"))) {
			strings_printf(closure->warnings, "%s %s", buf_text(&who), row->advice);
		}
	}
	return true;
}

static bool add_environment(struct closure *closure, struct error *err)
{
	static const char *const foreign[] = {"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT"};
	const char *zone = variable(closure, "TZ");

	if (zone && !companion_zone_of(closure, zone, "TZ", err))
		return false;
	for (size_t i = 0; !closure->musl && i < countof(locale_variables); i++) {
		const char *value = variable(closure, locale_variables[i]);
		if (value && !companion_locale_of(closure, value, locale_variables[i], err))
			return false;
	}
	for (size_t i = 0; i < countof(foreign); i++)
		if (variable(closure, foreign[i]))
			strings_printf(closure->warnings,
				"the image sets %s: its loader may find other libraries than those "
				"that were "
				"put in by reading the program",
				foreign[i]);
	return true;
}

static bool is_a_service(struct str word)
{
	for (size_t i = 0; i < word.size; i++)
		if (!isalnum((unsigned char)word.data[i]) && word.data[i] != '_')
			return false;
	return word.size > 0 && word.size < 64 && !str_equal_text(word, "files") &&
	       !str_equal_text(word, "dns");
}

/* "hosts: files mymachines [NOTFOUND=return] dns": each source but ours is libnss_<source>.so.2. */
static bool add_name_services(struct closure *closure, struct str text, struct error *err)
{
	while (text.data) {
		struct str line = str_cut(&text, '\n');
		struct str rules = str_cut(&line, '#');
		struct str database = str_trim(str_cut(&rules, ':'));
		while (rules.data) {
			struct str word = str_trim(str_cut(&rules, ' '));
			bool found;
			if (!is_a_service(word))
				continue;
			scoped(text_free) char *name =
				memory_format("libnss_%.*s.so.2", str_args(word));
			scoped(text_free) char *why =
				memory_format("nsswitch.conf looks up %.*s with it",
					str_args(database));
			if (!companion_plug_in(closure, name, why, &found, err))
				return false;
			if (!found)
				strings_printf(closure->warnings,
					"%s is not here and not in the image: %s", name, why);
		}
	}
	return true;
}

static bool read_nsswitch(struct closure *closure, struct error *err)
{
	scoped(text_free) char *path = NULL;
	scoped(buf_free) struct buf text = {0};

	if (!closure_has(closure, "libc.so.6"))
		return true;
	if (!tree_resolve(closure->tree, "/etc/nsswitch.conf", &path, err))
		return false;
	const struct tree_entry *entry = tree_find(closure->tree, path);
	if (!entry || entry->kind != ENTRY_FILE)
		return true;
	if (entry->content)
		buf_append_text(&text, entry->content);
	else if (!file_read(entry->source, 64 << 10, &text, err))
		return false;
	return add_name_services(closure, buf_str(&text), err);
}

/* Names like "libfoo.so.1" among a program's constants are a hint at what it opens. */
static void find_hints(const struct closure *closure, const struct elf_file *file, struct buf *out)
{
	enum { SCAN_LIMIT = 4 << 20, HINT_LIMIT = 6 };
	struct str bytes = file->bytes;
	struct strings hints = {0};

	if (bytes.size > SCAN_LIMIT)
		bytes.size = SCAN_LIMIT;
	for (const char *at = bytes.data; hints.count < HINT_LIMIT;) {
		at = memmem(at, (size_t)(bytes.data + bytes.size - at), "\0lib", 4);
		if (!at)
			break;
		at++;
		struct str name = {at, strnlen(at, (size_t)(bytes.data + bytes.size - at))};
		const char *mark = name.size < 64 ? memmem(name.data, name.size, ".so", 3) : NULL;
		if (!mark || memchr(name.data, ' ', name.size) ||
			memchr(name.data, '%', name.size) || (mark[3] && mark[3] != '.'))
			continue;
		scoped(text_free) char *text = str_copy(name);
		if (!closure_has(closure, text) && !strings_contain(&hints, text))
			strings_add(&hints, text);
	}
	for (size_t i = 0; i < hints.count; i++)
		buf_printf(out, "%s%s", i ? ", " : "; its texts mention ", hints.items[i]);
	strings_free(&hints);
}

/* Who says in a note what it opens needs no warning. */
static void warn_of_dlopen(struct closure *closure)
{
	struct companion libraries = {.imports = ELF_IMPORTS_DLOPEN};
	struct strings names = {0};

	for (size_t i = 0; i < closure->count; i++) {
		const struct library *l = closure->libraries[i];
		if (!sets_off(&libraries, l) || l->file->elf.dlopen_note_count > 0 || l->opener)
			continue;
		if (l->role == LIBRARY_PROGRAM) {
			scoped(buf_free) struct buf hints = {0};
			find_hints(closure, l->file, &hints);
			strings_printf(closure->warnings,
				"%s opens libraries by name at run time (dlopen), which cannot be "
				"found by "
				"reading: name them with --file%s",
				l->name, buf_text(&hints));
		} else if (!strings_contain(&names, l->name)) {
			strings_add(&names, l->name);
		}
	}
	scoped(buf_free) struct buf list = {0};
	for (size_t i = 0; i < names.count; i++)
		buf_printf(&list, "%s%s", i ? ", " : "", names.items[i]);
	if (names.count > 0)
		strings_printf(closure->warnings,
			"%s can open modules by name at run time (dlopen); the image has none of "
			"them "
			"unless --file names it",
			buf_text(&list));
	strings_free(&names);
}

static void warn_of_suggested(struct closure *closure)
{
	for (size_t i = 0; i < closure->suggested.count; i++)
		strings_printf(closure->warnings,
			"%s, which is not in the image; --with suggested adds it",
			closure->suggested.items[i]);
}

static bool check_requests(const struct closure *closure, struct error *err)
{
	const struct strings *with = closure->options.with;

	for (size_t i = 0; with && i < with->count; i++)
		if (!among_choices(COMPANION_REQUESTS, with->items[i])) {
			error_raise(err, ERROR_USAGE, "--with \"%s\" is not known", with->items[i]);
			return error_next(err, "one of " COMPANION_REQUESTS);
		}
	return true;
}

/* A level is a word in paths. */
static bool check_levels(const struct closure *closure, struct error *err)
{
	const struct strings *levels = closure->options.hwcaps;

	for (size_t i = 0; levels && i < levels->count; i++) {
		const char *level = levels->items[i];

		if (*level && !strchr(level, '/') && *level != '.')
			continue;
		error_raise(err, ERROR_USAGE, "--hwcaps \"%s\" is no level of processors", level);
		return error_next(err, "for example x86-64-v3");
	}
	return true;
}

/* A level that nothing is made for is mostly a slip of the pen. */
static void warn_of_levels(struct closure *closure)
{
	const struct strings *levels = closure->options.hwcaps;

	for (size_t i = 0; levels && i < levels->count; i++) {
		scoped(text_free) char *part = memory_format("/glibc-hwcaps/%s/", levels->items[i]);
		bool found = false;

		for (size_t k = 0; !found && k < closure->count; k++)
			found = closure->libraries[k]->role == LIBRARY_VARIANT &&
				strstr(closure->libraries[k]->path, part);
		if (!found)
			strings_printf(closure->warnings,
				"--hwcaps %s: no library of the image is here for that level "
				"(glibc-hwcaps/%s beside the library)",
				levels->items[i], levels->items[i]);
	}
}

bool closure_finish(struct closure *closure, struct error *err)
{
	if (!check_requests(closure, err) || !check_levels(closure, err))
		return false;
	if (closure->count == 0)
		return true;
	if (!add_rows(closure, err) || !add_environment(closure, err) ||
		!read_nsswitch(closure, err))
		return error_while(err, "adding what is opened at run time");
	warn_of_dlopen(closure);
	warn_of_suggested(closure);
	warn_of_levels(closure);
	return true;
}
