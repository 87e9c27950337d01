#include "base/archive_library.h"
#include "base/memory.h"
#include "builders/image/image_compare.h"

#include <stdlib.h>
#include <sys/stat.h>

enum { PIECE = 64 * 1024, READ_SIZE = 128 * 1024 };

/* One of the two archives. */
struct side {
	struct archive *archive; /* owned */
	struct archive_entry *entry;
	bool ended;
};

struct walk {
	struct side given, here;
	const char *name;
	struct image_difference *out;
	char given_piece[PIECE], here_piece[PIECE];
};

static void walk_free(struct walk **walk)
{
	struct walk *w = *walk;

	if (!w)
		return;
	if (w->given.archive)
		libarchive.read_free(w->given.archive);
	if (w->here.archive)
		libarchive.read_free(w->here.archive);
	free(w);
	*walk = NULL;
}

static bool raise_broken(const struct walk *w, struct archive *archive, struct error *err)
{
	const char *why = libarchive.error_string(archive);

	return error_raise(err, ERROR_INVALID, "reading %s: %s", w->name, why ? why : "broken");
}

static bool open_side(struct walk *w, struct side *side, int fd, struct error *err)
{
	side->archive = libarchive.read_new();
	if (!side->archive)
		return error_raise(err, ERROR_SYSTEM, "libarchive gives no reader");
	libarchive.read_support_filter_gzip(side->archive);
	libarchive.read_support_filter_zstd(side->archive);
	libarchive.read_support_format_tar(side->archive);
	libarchive.read_support_format_empty(side->archive);
	return libarchive.read_open_fd(side->archive, fd, READ_SIZE) == ARCHIVE_OK ||
	       raise_broken(w, side->archive, err);
}

static bool next(struct walk *w, struct side *side, struct error *err)
{
	int code = libarchive.read_next_header(side->archive, &side->entry);

	side->ended = code == ARCHIVE_EOF;
	return side->ended || code == ARCHIVE_OK || code == ARCHIVE_WARN ||
	       raise_broken(w, side->archive, err);
}

static void differ(struct walk *w, const char *path, char *what)
{
	w->out->same = false;
	w->out->where = path ? memory_format("%s: /%s", w->name, path) : memory_copy_text(w->name);
	w->out->what = what;
}

static const char *path_of(const struct side *side)
{
	const char *path = libarchive.entry_pathname(side->entry);

	return path ? path : "";
}

/* A number of the header; octal as file modes are written. */
struct fact {
	const char *name;
	bool octal;
	long long given, here;
};

static const char *text_or_none(const char *text)
{
	return text ? text : "";
}

static char *fact_text(const struct fact *fact)
{
	if (fact->octal)
		return memory_format("%s 0%llo, here 0%llo", fact->name,
			(unsigned long long)fact->given, (unsigned long long)fact->here);
	return memory_format("%s %lld, here %lld", fact->name, fact->given, fact->here);
}

/* The extended attribute that runtimes heed. */
static struct str capability_of(struct archive_entry *entry)
{
	const char *name;
	const void *value;
	size_t size;

	libarchive.entry_xattr_reset(entry);
	while (libarchive.entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK)
		if (text_equal(name, "security.capability"))
			return (struct str){value, size};
	return (struct str){0};
}

static bool same_header(struct walk *w)
{
	struct archive_entry *a = w->given.entry, *b = w->here.entry;
	const struct fact facts[] = {
		{"kind", true, libarchive.entry_filetype(a), libarchive.entry_filetype(b)},
		{"mode", true, libarchive.entry_perm(a), libarchive.entry_perm(b)},
		{"owner", false, libarchive.entry_uid(a), libarchive.entry_uid(b)},
		{"group", false, libarchive.entry_gid(a), libarchive.entry_gid(b)},
		{"time", false, libarchive.entry_mtime(a), libarchive.entry_mtime(b)},
	};

	const char *from = text_or_none(libarchive.entry_symlink(a));
	const char *to = text_or_none(libarchive.entry_symlink(b));
	if (text_equal(from, to)) {
		from = text_or_none(libarchive.entry_hardlink(a));
		to = text_or_none(libarchive.entry_hardlink(b));
	}
	if (!text_equal(from, to)) {
		differ(w, path_of(&w->given),
			memory_format("leads to \"%s\", here to \"%s\"", from, to));
		return false;
	}
	for (size_t i = 0; i < countof(facts); i++)
		if (facts[i].given != facts[i].here) {
			differ(w, path_of(&w->given), fact_text(&facts[i]));
			return false;
		}
	if (!str_equal(capability_of(a), capability_of(b))) {
		differ(w, path_of(&w->given), memory_copy_text("has other file capabilities"));
		return false;
	}
	return true;
}

/* Fills a piece, or less of it at the end. */
static bool fill(struct walk *w, struct side *side, char *piece, size_t *out_size,
	struct error *err)
{
	size_t size = 0;

	while (size < PIECE) {
		la_ssize_t got = libarchive.read_data(side->archive, piece + size, PIECE - size);

		if (got < 0)
			return raise_broken(w, side->archive, err);
		if (got == 0)
			break;
		size += (size_t)got;
	}
	*out_size = size;
	return true;
}

static bool compare_content(struct walk *w, struct error *err)
{
	int64_t before = 0;

	for (;;) {
		size_t given, here, at = 0;

		if (!fill(w, &w->given, w->given_piece, &given, err) ||
			!fill(w, &w->here, w->here_piece, &here, err))
			return false;
		size_t both = given < here ? given : here;
		while (at < both && w->given_piece[at] == w->here_piece[at])
			at++;
		if (at < both) {
			differ(w, path_of(&w->given),
				memory_format("content differs at byte %lld: 0x%02x, here 0x%02x",
					(long long)(before + (int64_t)at),
					(unsigned char)w->given_piece[at],
					(unsigned char)w->here_piece[at]));
			return true;
		}
		if (given != here) {
			differ(w, path_of(&w->given),
				memory_format("%lld bytes, here %lld",
					(long long)libarchive.entry_size(w->given.entry),
					(long long)libarchive.entry_size(w->here.entry)));
			return true;
		}
		if (given == 0)
			return true;
		before += (int64_t)given;
	}
}

/* Is there an entry of that name further on? */
static bool comes_later(struct walk *w, struct side *side, const char *path, bool *out_found,
	struct error *err)
{
	*out_found = false;
	while (!side->ended && !*out_found) {
		if (!next(w, side, err))
			return false;
		*out_found = !side->ended && text_equal(path_of(side), path);
	}
	return true;
}

/* Two names at one place: which of them has the other side not got? Archives have several orders, so
 * only looking tells. */
static bool find_odd_one(struct walk *w, struct error *err)
{
	scoped(text_free) char *given = memory_copy_text(path_of(&w->given));
	scoped(text_free) char *here = memory_copy_text(path_of(&w->here));
	bool found;

	if (!comes_later(w, &w->here, given, &found, err))
		return false;
	if (!found) {
		differ(w, given, memory_copy_text("is not here"));
		return true;
	}
	if (!comes_later(w, &w->given, here, &found, err))
		return false;
	if (found)
		differ(w, given, memory_copy_text("stands at another place in the archive"));
	else
		differ(w, here, memory_copy_text("is only here"));
	return true;
}

/* Both are at an entry, or one has ended. */
static bool compare_entry(struct walk *w, struct error *err)
{
	if (w->here.ended) {
		differ(w, path_of(&w->given), memory_copy_text("is not here"));
		return true;
	}
	if (w->given.ended) {
		differ(w, path_of(&w->here), memory_copy_text("is only here"));
		return true;
	}
	if (!text_equal(path_of(&w->given), path_of(&w->here)))
		return find_odd_one(w, err);
	return !same_header(w) || compare_content(w, err);
}

bool archive_compare(int given_fd, int here_fd, const char *name,
	struct image_difference *out_difference, struct error *err)
{
	scoped(walk_free) struct walk *w = memory_new(sizeof(*w));
	scoped(image_difference_free) struct image_difference difference = {.same = true};

	w->name = name;
	w->out = &difference;
	if (!archive_library_load(err) || !open_side(w, &w->given, given_fd, err) ||
		!open_side(w, &w->here, here_fd, err))
		return false;
	while (difference.same) {
		if (!next(w, &w->given, err) || !next(w, &w->here, err))
			return false;
		if (w->given.ended && w->here.ended)
			break;
		if (!compare_entry(w, err))
			return false;
	}
	*out_difference = difference;
	difference = (struct image_difference){0};
	return true;
}
