#include "deployers/local/bundle_internal.h"

#include "base/memory.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { OPEN_FILES = 65535 }; /* what Fargate gives */

/* What Docker gives a container, and so ECS. */
static const struct capability_row {
	const char *name; /* without CAP_ */
	int number;
	bool usual;
} capabilities[] = {
	{"AUDIT_WRITE", CAP_AUDIT_WRITE, true},
	{"CHOWN", CAP_CHOWN, true},
	{"DAC_OVERRIDE", CAP_DAC_OVERRIDE, true},
	{"FOWNER", CAP_FOWNER, true},
	{"FSETID", CAP_FSETID, true},
	{"KILL", CAP_KILL, true},
	{"MKNOD", CAP_MKNOD, true},
	{"NET_BIND_SERVICE", CAP_NET_BIND_SERVICE, true},
	{"NET_RAW", CAP_NET_RAW, true},
	{"SETFCAP", CAP_SETFCAP, true},
	{"SETGID", CAP_SETGID, true},
	{"SETPCAP", CAP_SETPCAP, true},
	{"SETUID", CAP_SETUID, true},
	{"SYS_CHROOT", CAP_SYS_CHROOT, true},
	{"SYS_PTRACE", CAP_SYS_PTRACE, false}, /* the one that Fargate lets tasks add */
	{"NET_ADMIN", CAP_NET_ADMIN, false},
	{"SYS_NICE", CAP_SYS_NICE, false},
};

static void write_texts(struct json_writer *w, const struct strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		json_write_text(w, list->items[i]);
}

static void write_json_texts(struct json_writer *w, const struct json *array)
{
	for (size_t i = 0; i < json_count(array); i++)
		json_write_text(w, json_text(json_at(array, i), ""));
}

/* The task definition's entryPoint replaces the image's and drops its Cmd, as in Docker. */
static bool write_arguments(struct json_writer *w, const struct bundle *bundle, struct error *err)
{
	const struct json *entry = json_get(bundle->container, "entryPoint");
	const struct json *command = json_get(bundle->override, "command");

	if (!json_count(command))
		command = json_get(bundle->container, "command");
	if (!json_count(entry) && !json_count(command) && !bundle->image->entrypoint.count &&
		!bundle->image->command.count)
		return error_raise(err, ERROR_INVALID,
			"neither the task definition nor the image says which program to run");
	json_key(w, "args");
	json_array_begin(w);
	if (json_count(entry))
		write_json_texts(w, entry);
	else
		write_texts(w, &bundle->image->entrypoint);
	if (json_count(command))
		write_json_texts(w, command);
	else if (!json_count(entry))
		write_texts(w, &bundle->image->command);
	json_array_end(w);
	return true;
}

/* Later settings of a name replace earlier ones, at the earlier one's place. */
static void set_variable(struct strings *env, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	size_t size = equals ? (size_t)(equals - assignment) + 1 : strlen(assignment);

	for (size_t i = 0; i < env->count; i++) {
		if (strncmp(env->items[i], assignment, size) != 0)
			continue;
		free(env->items[i]);
		env->items[i] = memory_copy_text(assignment);
		return;
	}
	strings_add(env, assignment);
}

static void set_variables(struct strings *env, const struct json *pairs)
{
	for (size_t i = 0; i < json_count(pairs); i++) {
		const struct json *pair = json_at(pairs, i);
		scoped(text_free) char *assignment = memory_format("%s=%s",
			json_get_text(pair, "name", ""), json_get_text(pair, "value", ""));

		set_variable(env, assignment);
	}
}

static void write_environment(struct json_writer *w, const struct bundle *bundle)
{
	scoped(strings_free) struct strings env = {0};
	scoped(text_free) char *hostname = memory_format("HOSTNAME=%s", bundle->hostname);

	strings_add(&env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	strings_add(&env, hostname);
	for (size_t i = 0; i < bundle->image->env.count; i++)
		set_variable(&env, bundle->image->env.items[i]);
	for (size_t i = 0; bundle->env && i < bundle->env->count; i++)
		set_variable(&env, bundle->env->items[i]);
	set_variables(&env, json_get(bundle->container, "environment"));
	set_variables(&env, json_get(bundle->override, "environment"));
	json_key(w, "env");
	json_array_begin(w);
	write_texts(w, &env);
	json_array_end(w);
}

static bool names_contain(const struct json *names, const char *name)
{
	for (size_t i = 0; i < json_count(names); i++) {
		const char *each = json_text(json_at(names, i), "");

		if (text_equal(each, name) || text_equal(each, "ALL") ||
			(text_starts_with(each, "CAP_") && text_equal(each + 4, name)))
			return true;
	}
	return false;
}

static void write_capability_set(struct json_writer *w, const char *set,
	const struct bundle *bundle)
{
	const struct json *changes =
		json_get(json_get(bundle->container, "linuxParameters"), "capabilities");

	json_key(w, set);
	json_array_begin(w);
	for (size_t i = 0; i < countof(capabilities); i++) {
		const struct capability_row *row = &capabilities[i];
		bool wanted =
			(row->usual && !names_contain(json_get(changes, "drop"), row->name)) ||
			names_contain(json_get(changes, "add"), row->name);

		/* What this process may not hand on, the runtime could not give. */
		if (wanted && prctl(PR_CAPBSET_READ, row->number) == 1)
			json_write_format(w, "CAP_%s", row->name);
	}
	json_array_end(w);
}

static void write_limit(struct json_writer *w, const char *name, int resource, uint64_t soft,
	uint64_t hard)
{
	struct rlimit host;

	/* Without CAP_SYS_RESOURCE a limit above our own hard limit is refused. */
	if (getrlimit((__rlimit_resource_t)resource, &host) == 0) {
		hard = hard > host.rlim_max ? host.rlim_max : hard;
		soft = soft > hard ? hard : soft;
	}
	json_object_begin(w);
	json_put_text(w, "type", name);
	json_put_int(w, "hard", (int64_t)hard);
	json_put_int(w, "soft", (int64_t)soft);
	json_object_end(w);
}

static const struct limit_row {
	const char *aws, *oci;
	int resource;
} limits[] = {
	{"core", "RLIMIT_CORE", RLIMIT_CORE},
	{"cpu", "RLIMIT_CPU", RLIMIT_CPU},
	{"data", "RLIMIT_DATA", RLIMIT_DATA},
	{"fsize", "RLIMIT_FSIZE", RLIMIT_FSIZE},
	{"locks", "RLIMIT_LOCKS", RLIMIT_LOCKS},
	{"memlock", "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
	{"msgqueue", "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
	{"nice", "RLIMIT_NICE", RLIMIT_NICE},
	{"nofile", "RLIMIT_NOFILE", RLIMIT_NOFILE},
	{"nproc", "RLIMIT_NPROC", RLIMIT_NPROC},
	{"rss", "RLIMIT_RSS", RLIMIT_RSS},
	{"rtprio", "RLIMIT_RTPRIO", RLIMIT_RTPRIO},
	{"rttime", "RLIMIT_RTTIME", RLIMIT_RTTIME},
	{"sigpending", "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
	{"stack", "RLIMIT_STACK", RLIMIT_STACK},
};

static void write_limits(struct json_writer *w, const struct json *ulimits)
{
	bool open_files = false;

	json_key(w, "rlimits");
	json_array_begin(w);
	for (size_t i = 0; i < json_count(ulimits); i++) {
		const struct json *ulimit = json_at(ulimits, i);
		const char *name = json_get_text(ulimit, "name", "");

		for (size_t j = 0; j < countof(limits); j++) {
			if (!text_equal(limits[j].aws, name))
				continue;
			write_limit(w, limits[j].oci, limits[j].resource,
				(uint64_t)json_get_int(ulimit, "softLimit", 0),
				(uint64_t)json_get_int(ulimit, "hardLimit", 0));
			open_files |= limits[j].resource == RLIMIT_NOFILE;
		}
	}
	if (!open_files)
		write_limit(w, "RLIMIT_NOFILE", RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES);
	json_array_end(w);
}

bool bundle_write_process(struct json_writer *w, const struct bundle *bundle, struct error *err)
{
	const char *user = json_get_text(bundle->container, "user", bundle->image->user);
	const char *folder =
		json_get_text(bundle->container, "workingDirectory", bundle->image->folder);
	uint32_t uid, gid;

	if (!bundle_user(bundle, user, &uid, &gid, err))
		return false;
	json_key(w, "process");
	json_object_begin(w);
	json_put_bool(w, "terminal", false);
	json_key(w, "user");
	json_object_begin(w);
	json_put_int(w, "uid", uid);
	json_put_int(w, "gid", gid);
	json_object_end(w);
	if (!write_arguments(w, bundle, err))
		return false;
	write_environment(w, bundle);
	json_put_text(w, "cwd", *folder == '/' ? folder : "/");
	json_key(w, "capabilities");
	json_object_begin(w);
	write_capability_set(w, "bounding", bundle);
	/* As in Docker a user that is not root starts without any. */
	if (uid == 0) {
		write_capability_set(w, "effective", bundle);
		write_capability_set(w, "permitted", bundle);
	}
	json_object_end(w);
	write_limits(w, json_get(bundle->container, "ulimits"));
	json_put_bool(w, "noNewPrivileges", false);
	json_object_end(w);
	return true;
}
