#include "base/sandbox.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "base/process.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static void add(struct strings *argv, const char *a, const char *b, const char *c)
{
	strings_add(argv, a);
	if (b)
		strings_add(argv, b);
	if (c)
		strings_add(argv, c);
}

/* /bin and its like are links into /usr on current Debian, folders of their own elsewhere. */
static void add_root_folder(struct strings *argv, const char *path)
{
	char target[PATH_MAX];
	ssize_t size = readlink(path, target, sizeof(target) - 1);

	if (size > 0) {
		target[size] = '\0';
		add(argv, "--symlink", target, path);
	} else if (access(path, F_OK) == 0) {
		add(argv, "--ro-bind", path, path);
	}
}

/* Not all of /etc: it holds keys and password hashes. */
static const char *const etc_files[] = {"debian_version", "group", "hosts", "ld.so.cache",
	"ld.so.conf", "localtime", "nsswitch.conf", "passwd", "protocols", "resolv.conf",
	"services", "ssl/openssl.cnf"};
/* Large ones, bound over the copies. */
static const char *const etc_folders[] = {"alternatives", "ssl/certs"};

#define LINKER_FOLDER "ld.so.conf.d"

static bool copy_etc_file(const char *folder, const char *name, struct error *err)
{
	scoped(text_free) char *from = path_join("/etc", name);
	scoped(text_free) char *to = path_join(folder, name);

	return access(from, R_OK) != 0 || file_copy(from, to, err);
}

bool sandbox_make_etc(const char *folder, struct error *err)
{
	scoped(text_free) char *linker = path_join(folder, LINKER_FOLDER);

	for (size_t i = 0; i < countof(etc_folders); i++) {
		scoped(text_free) char *path = path_join(folder, etc_folders[i]);

		if (!folder_make(path, 0755, err))
			return false;
	}
	for (size_t i = 0; i < countof(etc_files); i++)
		if (!copy_etc_file(folder, etc_files[i], err))
			return error_while(err, "making the sandbox's /etc");
	return !file_is_folder("/etc/" LINKER_FOLDER) ||
	       folder_copy("/etc/" LINKER_FOLDER, linker, err) ||
	       error_while(err, "making the sandbox's /etc");
}

static void add_etc(struct strings *argv, const char *etc)
{
	add(argv, "--ro-bind", etc, "/etc");
	for (size_t i = 0; i < countof(etc_folders); i++) {
		scoped(text_free) char *path = path_join("/etc", etc_folders[i]);

		if (access(path, F_OK) == 0)
			add(argv, "--ro-bind", path, path);
	}
}

/* A folder in memory that only this sandbox has. */
static void add_scratch(struct strings *argv, const char *path, const char *mode,
	int64_t size_bytes)
{
	add(argv, "--perms", mode, NULL);
	if (size_bytes) {
		strings_add(argv, "--size");
		strings_printf(argv, "%lld", (long long)size_bytes);
	}
	add(argv, "--tmpfs", path, NULL);
}

/*
 * What root owns in /proc it may write without any privilege, and what is written there holds for the
 * whole machine (kernel.core_pattern names a program that runs as root). bwrap covers some of it, but not
 * /proc/sys: it asks whether the folder can be written, which it cannot. What a process writes there
 * about itself (oom_score_adj) goes with it; binding each of root's over itself took 0.7 ms.
 */
static void add_proc(struct strings *argv)
{
	add(argv, "--proc", "/proc", NULL);
	if (access("/proc/keys", F_OK) == 0)
		add(argv, "--ro-bind", "/dev/null", "/proc/keys"); /* the user's keyrings */
	if (geteuid() == 0)
		add(argv, "--remount-ro", "/proc", NULL);
}

static void add_system(struct strings *argv, int64_t scratch_bytes)
{
	static const char *const roots[] = {"/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"};

	add(argv, "--ro-bind", "/usr", "/usr");
	for (size_t i = 0; i < countof(roots); i++)
		add_root_folder(argv, roots[i]);
	if (access("/opt", F_OK) == 0)
		add(argv, "--ro-bind", "/opt", "/opt");
	add_proc(argv);
	add(argv, "--dev", "/dev", NULL);
	add_scratch(argv, "/dev/shm", "1777", scratch_bytes);
	add_scratch(argv, "/tmp", "1777", scratch_bytes);
	add_scratch(argv, "/root", "0700", scratch_bytes);
	add(argv, "--symlink", "../tmp", "/var/tmp");
	/* The root is a file system in memory of this sandbox alone; so this needs none of its own. */
	add(argv, "--dir", "/run", NULL);
}

static void add_environment(struct strings *argv, const char *const *env)
{
	strings_add(argv, "--clearenv");
	for (size_t i = 0; env && env[i]; i++) {
		struct str value = str_of(env[i]);
		struct str name = str_cut(&value, '=');

		strings_add(argv, "--setenv");
		strings_add_owned(argv, str_copy(name));
		strings_add_owned(argv, str_copy(value));
	}
}

void sandbox_bare_command(const struct sandbox_bind *binds, size_t bind_count,
	const struct sandbox_link *links, size_t link_count, const char *const *env,
	const char *const *argv, struct strings *out_argv)
{
	strings_add(out_argv, "bwrap");
	add(out_argv, "--unshare-all", "--die-with-parent", "--new-session");
	add(out_argv, "--cap-drop", "ALL", NULL);
	add_environment(out_argv, env);
	for (size_t i = 0; i < link_count; i++)
		add(out_argv, "--symlink", links[i].target, links[i].path);
	for (size_t i = 0; i < bind_count; i++)
		add(out_argv, binds[i].writable ? "--bind" : "--ro-bind", binds[i].from,
			binds[i].to);
	add(out_argv, "--remount-ro", "/", NULL);
	add(out_argv, "--chdir", "/", "--");
	for (size_t i = 0; argv[i]; i++)
		strings_add(out_argv, argv[i]);
}

void sandbox_command(const struct sandbox_options *options, const char *const *argv,
	struct strings *out_argv)
{
	strings_add(out_argv, "bwrap");
	add(out_argv, "--unshare-all", "--die-with-parent", "--new-session");
	add(out_argv, "--hostname", "sandbox", NULL);
	if (options->user) {
		add(out_argv, "--unshare-user", "--uid", NULL);
		strings_printf(out_argv, "%u", options->user->uid);
		strings_add(out_argv, "--gid");
		strings_printf(out_argv, "%u", options->user->gid);
	}
	if (options->network)
		strings_add(out_argv, "--share-net");
	add(out_argv, "--cap-drop", "ALL", NULL);
	add_environment(out_argv, options->env);
	add_system(out_argv, options->scratch_bytes);
	if (options->etc)
		add_etc(out_argv, options->etc);
	for (size_t i = 0; i < options->bind_count; i++) {
		const struct sandbox_bind *bind = &options->binds[i];

		add(out_argv, bind->writable ? "--bind" : "--ro-bind", bind->from, bind->to);
	}
	if (options->folder)
		add(out_argv, "--chdir", options->folder, NULL);
	if (options->filter_fd) {
		strings_add(out_argv, "--seccomp");
		strings_printf(out_argv, "%d", options->filter_fd);
	}
	strings_add(out_argv, "--");
	for (size_t i = 0; argv[i]; i++)
		strings_add(out_argv, argv[i]);
}
