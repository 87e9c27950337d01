#include "builders/image/package_fetch.h"

#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"
#include "builders/image/kept_folder.h"
#include "builders/image/package_database.h"
#include "builders/image/package_status.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	FETCH_TIMEOUT_MS = 15 * 60 * 1000,
	UNPACK_TIMEOUT_MS = 5 * 60 * 1000,
	OUTPUT_LIMIT = 64 << 20,
	CONTROL_LIMIT = 1 << 20,
	SUMS_LIMIT = 64 << 20,
};

/* Taken for installed, so that they do not come along. Those that an image has otherwise are in their
 * real version here, which apt compares with what packages ask for. */
static const char *const present[] = {"libc6", "libgcc-s1", "libcrypt1", "gcc-12-base",
	"gcc-13-base", "gcc-14-base"};
/* Needed by maintainer scripts, which are not run. */
static const char *const for_scripts[] = {"adduser", "base-files", "base-passwd", "bash",
	"cdebconf", "coreutils", "dash", "debconf", "debianutils", "diffutils", "dpkg", "findutils",
	"grep", "gzip", "hostname", "init-system-helpers", "install-info", "login", "lsb-base",
	"mawk", "ncurses-base", "ncurses-bin", "passwd", "perl-base", "sed", "sensible-utils",
	"sysvinit-utils", "tar", "ucf", "util-linux"};

static bool is_named(const struct strings *names, const char *package)
{
	for (size_t i = 0; i < names->count; i++) {
		struct str rest = str_of(names->items[i]);
		if (str_equal_text(str_cut(&rest, '='), package))
			return true;
	}
	return false;
}

/* Without what it depends on: nothing of it will be there. */
static void write_installed(const char *name, const struct package *package, struct buf *out)
{
	static const char *const fields[] = {"Version", "Architecture", "Multi-Arch", "Provides"};

	buf_printf(out,
		"Package: %s\nStatus: install ok installed\nMaintainer: nobody <nobody@localhost>\n"
		"Description: present\n",
		name);
	for (size_t i = 0; package && i < countof(fields); i++) {
		struct str value = package_field(package, fields[i]);
		if (value.size > 0)
			buf_printf(out, "%s: %.*s\n", fields[i], str_args(value));
	}
	if (!package)
		buf_printf(out, "Version: 99999\nArchitecture: all\n%s",
			text_equal(name, "debconf") ? "Provides: debconf-2.0\n" : "");
	buf_append_char(out, '\n');
}

/* The private state's list of what is installed. */
static bool write_status(const struct strings *names, const char *path, struct error *err)
{
	scoped(package_database_free) struct package_database *here = NULL;
	scoped(buf_free) struct buf status = {0};

	if (!package_database_open(&(struct package_places){.dpkg = NULL}, &here, err))
		return false;
	for (size_t i = 0; i < countof(present); i++) {
		const struct package *package = package_database_named(here, present[i]);
		if (package && !is_named(names, present[i]))
			write_installed(present[i], package, &status);
	}
	for (size_t i = 0; i < countof(for_scripts); i++)
		if (!is_named(names, for_scripts[i]))
			write_installed(for_scripts[i],
				package_database_named(here, for_scripts[i]), &status);
	return file_write(path, buf_str(&status), 0600, false, err);
}

/* Raises what apt-get said on its last line that starts with "E:". */
static bool raise_apt(const struct buf *output, struct error *err)
{
	struct str rest = buf_str(output), last = {0};

	while (rest.size > 0) {
		struct str line = str_cut(&rest, '\n');
		if (str_starts_with(line, "E: ") && last.size == 0)
			last = (struct str){line.data + 3, line.size - 3};
	}
	bool unknown =
		last.size > 0 && (memmem(last.data, last.size, "Unable to locate", 16) ||
					 memmem(last.data, last.size, "was not found", 13) ||
					 memmem(last.data, last.size, "no installation cand", 20));
	error_raise(err, unknown ? ERROR_NOT_FOUND : ERROR_UNAVAILABLE, "apt-get: %.*s",
		last.size ? (int)last.size : 6, last.size ? last.data : "failed");
	return error_next(err,
		unknown ? "look at the name with apt-cache policy; apt-get update renews the lists"
			: "does apt-get download work here? apt-get update renews the lists");
}

static bool run_apt(const struct strings *names, const char *work, struct error *err)
{
	scoped(strings_free) struct strings argv = {0};
	scoped(process_result_free) struct process_result result = {0};

	/* Its messages are read below, so they must be English. */
	strings_add(&argv, "env");
	strings_add(&argv, "LC_ALL=C");
	strings_add(&argv, "DEBIAN_FRONTEND=noninteractive");
	strings_add(&argv, "apt-get");
	strings_add(&argv, "-q");
	strings_add(&argv, "-y");
	strings_printf(&argv, "-oDir::State::status=%s/status", work);
	strings_printf(&argv, "-oDir::State::extended_states=%s/extended", work);
	strings_printf(&argv, "-oDir::Cache=%s/cache", work);
	strings_add(&argv, "-oDir::Cache::pkgcache=");
	strings_add(&argv, "-oDir::Cache::srcpkgcache=");
	strings_printf(&argv, "-oDir::Log=%s", work);
	strings_add(&argv, "-oDebug::NoLocking=1");
	strings_add(&argv, "-oAPT::Sandbox::User=root");
	strings_add(&argv, "-oAPT::Install-Recommends=false");
	strings_add(&argv, "-oAPT::Get::AllowUnauthenticated=false");
	strings_add(&argv, "-oAPT::Keep-Downloaded-Packages=true");
	strings_add(&argv, "--download-only");
	strings_add(&argv, "install");
	strings_add(&argv, "--");
	for (size_t i = 0; i < names->count; i++)
		strings_add(&argv, names->items[i]);
	struct process_options options = {.argv = (const char *const *)argv.items,
		.merge_output = true,
		.same_group = true,
		.die_with_parent = true};
	if (!process_run(&options, (struct str){0}, FETCH_TIMEOUT_MS, 0, &result, err))
		return false;
	if (result.exit.exited && result.exit.status == 127) {
		error_raise(err, ERROR_NOT_FOUND, "there is no apt-get on this machine");
		return error_next(err, "build on Debian, or name the files with --file");
	}
	if (result.timed_out)
		return error_raise(err, ERROR_TIMED_OUT, "apt-get took longer than %d minutes",
			FETCH_TIMEOUT_MS / 60000);
	return (result.exit.exited && result.exit.status == 0) || raise_apt(&result.output, err);
}

/* Runs a program that must succeed; its output goes to out, or to fd when that is not 0. */
static bool run(const char *const *argv, int fd, struct buf *out, struct error *err)
{
	scoped(process_result_free) struct process_result result = {0};
	struct process_options options = {.argv = argv,
		.stdout_fd = fd,
		.same_group = true,
		.die_with_parent = true};

	if (!process_run(&options, (struct str){0}, UNPACK_TIMEOUT_MS, OUTPUT_LIMIT, &result, err))
		return false;
	if (!result.exit.exited || result.exit.status != 0)
		return error_raise(err, ERROR_FAILED, "%s failed: %.400s", argv[0],
			buf_text(&result.errors));
	if (out)
		buf_append_str(out, buf_str(&result.output));
	return true;
}

/* dpkg-deb's own --extract would put a folder where ours has the link "lib", so tar does it. */
static bool unpack_files(const char *deb, const char *work, struct buf *out_names,
	struct error *err)
{
	scoped(text_free) char *archive = path_join(work, "files.tar");
	scoped(text_free) char *root = path_join(work, "root");
	scoped(descriptor_close) int fd =
		open(archive, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const char *const read[] = {"dpkg-deb", "--fsys-tarfile", deb, NULL};
	const char *const write[] = {"tar", "--extract", "--verbose", "--same-permissions",
		"--no-same-owner", "--keep-directory-symlink", "--quoting-style=literal",
		"--directory", root, "--file", archive, NULL};

	if (fd < 0)
		return error_raise_errno(err, "create \"%s\"", archive);
	return run(read, fd, NULL, err) && run(write, 0, out_names, err);
}

/* "./usr/lib/x/" as dpkg lists it: "/usr/lib/x". */
static void write_list(struct str names, struct buf *out)
{
	while (names.size > 0) {
		struct str line = str_cut(&names, '\n');

		if (str_starts_with(line, "."))
			line = (struct str){line.data + 1, line.size - 1};
		while (line.size > 1 && line.data[line.size - 1] == '/')
			line.size--;
		if (line.size > 0)
			buf_printf(out, "%.*s\n", str_args(line));
	}
}

static bool copy_if_there(const char *from, const char *to, struct error *err)
{
	return !file_exists(from) || file_copy(from, to, err);
}

/* The package's notes as dpkg would keep them, without its scripts. */
static bool note_package(const char *deb, const char *work, struct str names, struct buf *status,
	struct error *err)
{
	scoped(text_free) char *control = path_join(work, "control"), *part = NULL, *sums = NULL;
	scoped(buf_free) struct buf text = {0}, list = {0};
	const char *const argv[] = {"dpkg-deb", "--control", deb, control, NULL};

	if (!folder_remove(control, err) || !run(argv, 0, NULL, err))
		return false;
	scoped(text_free) char *fields = path_join(control, "control");
	if (!file_read(fields, CONTROL_LIMIT, &text, err))
		return false;
	struct str stanza = str_trim(buf_str(&text));
	struct str name = stanza_field(stanza, "Package");
	bool same = str_equal_text(stanza_field(stanza, "Multi-Arch"), "same");
	part = memory_format("%s/root/var/lib/dpkg/info/%.*s%s%.*s", work, str_args(name),
		same ? ":" : "", same ? (int)stanza_field(stanza, "Architecture").size : 0,
		same ? stanza_field(stanza, "Architecture").data : "");
	buf_printf(status, "%.*s\nStatus: install ok installed\n\n", str_args(stanza));
	write_list(names, &list);
	sums = memory_format("%s.md5sums", part);
	scoped(text_free) char *list_path = memory_format("%s.list", part);
	scoped(text_free) char *from = path_join(control, "md5sums");
	return file_write(list_path, buf_str(&list), 0600, false, err) &&
	       copy_if_there(from, sums, err);
}

/* The folders of a Debian system, of which some are second names. */
static bool make_root(const char *work, struct error *err)
{
	static const char *const merged[] = {"bin", "lib", "lib64", "sbin"};
	scoped(text_free) char *info = path_join(work, "root/var/lib/dpkg/info");

	if (!folder_make(info, 0700, err))
		return false;
	for (size_t i = 0; i < countof(merged); i++) {
		scoped(text_free) char *target = memory_format("usr/%s", merged[i]);
		scoped(text_free) char *folder = memory_format("%s/root/%s", work, target);
		scoped(text_free) char *link = memory_format("%s/root/%s", work, merged[i]);
		if (!folder_make(folder, 0755, err))
			return false;
		if (symlink(target, link) < 0)
			return error_raise_errno(err, "link \"%s\"", link);
	}
	return true;
}

/* Removes second names of folders that no package used, so that the image does not get them. */
static void drop_unused(const char *work)
{
	static const char *const merged[] = {"bin", "lib", "lib64", "sbin"};

	for (size_t i = 0; i < countof(merged); i++) {
		scoped(text_free) char *folder = memory_format("%s/root/usr/%s", work, merged[i]);
		scoped(text_free) char *link = memory_format("%s/root/%s", work, merged[i]);
		if (rmdir(folder) == 0)
			unlink(link);
	}
}

static bool unpack_all(const char *work, const struct strings *debs, struct hasher *identity,
	struct error *err)
{
	scoped(buf_free) struct buf status = {0}, names = {0};
	scoped(text_free) char *path = path_join(work, "root/var/lib/dpkg/status");

	for (size_t i = 0; i < debs->count; i++) {
		scoped(text_free) char *deb =
			memory_format("%s/cache/archives/%s", work, debs->items[i]);
		struct digest digest;

		buf_clear(&names);
		if (!digest_of_file(deb, &digest, NULL, err) ||
			!unpack_files(deb, work, &names, err) ||
			!note_package(deb, work, buf_str(&names), &status, err))
			return error_while(err, "unpacking %s", debs->items[i]);
		hasher_add(identity, digest.bytes, sizeof(digest.bytes));
	}
	drop_unused(work);
	return file_write(path, buf_str(&status), 0600, false, err);
}

bool package_fetch(const struct strings *names, const char *work, char **out_id, struct error *err)
{
	scoped(text_free) char *status = path_join(work, "status");
	scoped(text_free) char *archives = path_join(work, "cache/archives");
	scoped(text_free) char *partial = path_join(archives, "partial");
	scoped(strings_free) struct strings files = {0}, debs = {0};
	scoped(hasher_free) struct hasher *identity = hasher_new();

	if (!folder_make(partial, 0700, err) || !write_status(names, status, err) ||
		!run_apt(names, work, err) || !folder_list(archives, &files, err) ||
		!make_root(work, err))
		return false;
	for (size_t i = 0; i < files.count; i++)
		if (text_ends_with(files.items[i], ".deb"))
			strings_add(&debs, files.items[i]);
	hasher_add(identity, "root 1", 6);
	if (!unpack_all(work, &debs, identity, err))
		return false;
	struct digest digest = hasher_finish(identity);
	*out_id = kept_folder_id("root", &digest);
	return true;
}
