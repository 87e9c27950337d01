#include "deployers/local/bundle.h"

#include "base/file.h"
#include "base/json_writer.h"
#include "base/memory.h"
#include "base/path.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	CPU_PERIOD_US = 100000,
	PROCESS_LIMIT = 4096,
	OPEN_FILES = 65535, /* what Fargate gives */
	STOP_TIMEOUT = 30,
	STOP_TIMEOUT_MAX = 120,
};

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

int bundle_stop_timeout(const struct json *container)
{
	int64_t seconds = json_get_int(container, "stopTimeout", STOP_TIMEOUT);

	if (seconds < 0)
		return STOP_TIMEOUT;
	return seconds > STOP_TIMEOUT_MAX ? STOP_TIMEOUT_MAX : (int)seconds;
}

/* A number with a unit behind it ("0.5 GB"), or a whole number in the small unit (512). */
static bool parse_quantity(const struct json *value, const char *unit, int64_t factor, int64_t *out)
{
	scoped(text_free) char *text = NULL;
	char *end;

	*out = 0;
	if (!value || json_kind(value) == JSON_NULL)
		return true;
	if (!json_is_text(value)) {
		*out = json_int(value, 0);
		return *out >= 0;
	}
	struct str trimmed = str_trim(json_str(value));

	if (str_to_int(trimmed, out))
		return *out >= 0;
	text = str_copy(trimmed);
	double number = strtod(text, &end);

	if (end == text || number < 0 || number > 1e6 ||
		!str_equal_ignoring_case(str_trim(str_of(end)), str_of(unit)))
		return false;
	*out = (int64_t)(number * (double)factor + 0.5);
	return true;
}

bool bundle_cpu_units(const struct json *value, int64_t *out_units)
{
	return parse_quantity(value, "vCPU", 1024, out_units);
}

bool bundle_memory_mib(const struct json *value, int64_t *out_mib)
{
	return parse_quantity(value, "GB", 1024, out_mib);
}

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

static bool write_process(struct json_writer *w, const struct bundle *bundle, struct error *err)
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

static void write_mount(struct json_writer *w, const char *to, const char *type, const char *from,
	const char *options)
{
	struct str rest = str_of(options);

	json_object_begin(w);
	json_put_text(w, "destination", to);
	json_put_text(w, "type", type);
	json_put_text(w, "source", from);
	json_key(w, "options");
	json_array_begin(w);
	while (rest.data)
		json_write_str(w, str_cut(&rest, ','));
	json_array_end(w);
	json_object_end(w);
}

static void write_file_mount(struct json_writer *w, const struct bundle *bundle, const char *name)
{
	scoped(text_free) char *from = path_join(bundle->folder, name);
	scoped(text_free) char *to = memory_format("/etc/%s", name);

	write_mount(w, to, "bind", from, "bind,rw,nosuid,nodev,noexec");
}

static bool is_shared(const struct json *volume)
{
	return text_equal(json_get_text(json_get(volume, "dockerVolumeConfiguration"), "scope",
				  "task"),
		"shared");
}

/* Where a volume of the task definition lies on this machine; owned. */
static bool volume_source(const struct bundle *bundle, const char *name, char **out_path,
	struct error *err)
{
	const struct json *volumes = json_get(bundle->task_definition, "volumes");

	for (size_t i = 0; i < json_count(volumes); i++) {
		const struct json *volume = json_at(volumes, i);
		const char *source = json_get_text(json_get(volume, "host"), "sourcePath", NULL);

		if (!text_equal(json_get_text(volume, "name", ""), name))
			continue;
		if (json_get(volume, "efsVolumeConfiguration") ||
			json_get(volume, "fsxWindowsFileServerVolumeConfiguration"))
			return error_raise(err, ERROR_INVALID,
				"volume \"%s\" lies on EFS or FSx, which the local cloud does not "
				"have",
				name);
		if (strchr(name, '/') || text_equal(name, ".."))
			return error_raise(err, ERROR_INVALID, "\"%s\" is no name for a volume",
				name);
		*out_path = source ? memory_copy_text(source)
				   : path_join(is_shared(volume) ? bundle->shared_volumes
								 : bundle->volumes,
					     name);
		return true;
	}
	return error_raise(err, ERROR_INVALID,
		"a mount point names the volume \"%s\", which the task definition does not have",
		name);
}

static bool write_volumes(struct json_writer *w, const struct bundle *bundle, struct error *err)
{
	const struct json *points = json_get(bundle->container, "mountPoints");
	const struct json *tmpfs =
		json_get(json_get(bundle->container, "linuxParameters"), "tmpfs");

	for (size_t i = 0; i < json_count(points); i++) {
		const struct json *point = json_at(points, i);
		scoped(text_free) char *source = NULL;

		if (!volume_source(bundle, json_get_text(point, "sourceVolume", ""), &source, err))
			return false;
		write_mount(w, json_get_text(point, "containerPath", "/"), "bind", source,
			json_get_bool(point, "readOnly", false) ? "rbind,ro" : "rbind,rw");
	}
	for (size_t i = 0; i < json_count(tmpfs); i++) {
		scoped(text_free) char *options = memory_format("nosuid,nodev,size=%lldm",
			(long long)json_get_int(json_at(tmpfs, i), "size", 64));

		write_mount(w, json_get_text(json_at(tmpfs, i), "containerPath", "/tmp"), "tmpfs",
			"tmpfs", options);
	}
	return true;
}

static bool write_mounts(struct json_writer *w, const struct bundle *bundle, struct error *err)
{
	int64_t shared = json_get_int(json_get(bundle->container, "linuxParameters"),
		"sharedMemorySize", 64);
	scoped(text_free) char *shm =
		memory_format("nosuid,noexec,nodev,mode=1777,size=%lldm", (long long)shared);

	json_key(w, "mounts");
	json_array_begin(w);
	write_mount(w, "/proc", "proc", "proc", "nosuid,noexec,nodev");
	write_mount(w, "/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k");
	write_mount(w, "/dev/pts", "devpts", "devpts",
		"nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5");
	write_mount(w, "/dev/shm", "tmpfs", "shm", shm);
	write_mount(w, "/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev");
	write_mount(w, "/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro");
	write_file_mount(w, bundle, "hosts");
	write_file_mount(w, bundle, "hostname");
	write_file_mount(w, bundle, "resolv.conf");
	if (!write_volumes(w, bundle, err))
		return false;
	json_array_end(w);
	return true;
}

static int64_t least_given(int64_t a, int64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

static bool write_resources(struct json_writer *w, const struct bundle *bundle, struct error *err)
{
	const struct json *task = bundle->task_definition, *container = bundle->container;
	int64_t task_cpu, task_memory, cpu, memory;

	if (!bundle_cpu_units(json_get(task, "cpu"), &task_cpu) ||
		!bundle_memory_mib(json_get(task, "memory"), &task_memory) ||
		!bundle_cpu_units(json_get(container, "cpu"), &cpu) ||
		!bundle_memory_mib(json_get(container, "memory"), &memory))
		return error_raise(err, ERROR_INVALID, "cpu or memory of the task is no number");
	memory = least_given(memory, task_memory) * 1024 * 1024;
	json_key(w, "resources");
	json_object_begin(w);
	json_key(w, "devices");
	json_array_begin(w);
	json_object_begin(w);
	json_put_bool(w, "allow", false);
	json_put_text(w, "access", "rwm");
	json_object_end(w);
	json_array_end(w);
	if (memory) {
		/* swap is memory and swap together: none beyond the limit */
		json_key(w, "memory");
		json_object_begin(w);
		json_put_int(w, "limit", memory);
		json_put_int(w, "swap", memory);
		json_object_end(w);
	}
	json_key(w, "cpu");
	json_object_begin(w);
	json_put_int(w, "shares", cpu > 2 ? cpu : 2);
	if (task_cpu) {
		json_put_int(w, "quota", task_cpu * CPU_PERIOD_US / 1024);
		json_put_int(w, "period", CPU_PERIOD_US);
	}
	json_object_end(w);
	json_key(w, "pids");
	json_object_begin(w);
	json_put_int(w, "limit", PROCESS_LIMIT);
	json_object_end(w);
	json_object_end(w);
	return true;
}

static void write_list(struct json_writer *w, const char *key, const char *const *items)
{
	json_key(w, key);
	json_array_begin(w);
	for (; *items; items++)
		json_write_text(w, *items);
	json_array_end(w);
}

static bool write_linux(struct json_writer *w, const struct bundle *bundle, struct error *err)
{
	/* No network: the monitor is in the task's already, and the container stays there. */
	static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", NULL};
	static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/kcore",
		"/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
		"/proc/sched_debug", "/proc/scsi", "/sys/firmware", NULL};
	static const char *const read_only[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
		"/proc/sysrq-trigger", NULL};

	json_key(w, "linux");
	json_object_begin(w);
	json_put_text(w, "cgroupsPath", bundle->cgroup);
	if (!write_resources(w, bundle, err))
		return false;
	json_key(w, "namespaces");
	json_array_begin(w);
	for (size_t i = 0; namespaces[i]; i++) {
		json_object_begin(w);
		json_put_text(w, "type", namespaces[i]);
		json_object_end(w);
	}
	json_array_end(w);
	write_list(w, "maskedPaths", masked);
	write_list(w, "readonlyPaths", read_only);
	json_object_end(w);
	return true;
}

static bool check_supported(const struct bundle *bundle, struct error *err)
{
	if (json_count(json_get(bundle->container, "secrets")))
		return error_raise(err, ERROR_INVALID,
			"ResourceInitializationError: container \"%s\" has secrets, and the local "
			"cloud has no secret store yet",
			json_get_text(bundle->container, "name", ""));
	if (json_get_bool(bundle->container, "privileged", false))
		return error_raise(err, ERROR_INVALID,
			"the local cloud starts no privileged containers, as Fargate does not");
	return true;
}

bool bundle_config(const struct bundle *bundle, struct buf *out, struct error *err)
{
	struct json_writer w = json_writer_start(out);

	if (!check_supported(bundle, err))
		return false;
	json_object_begin(&w);
	json_put_text(&w, "ociVersion", "1.0.2");
	if (!write_process(&w, bundle, err))
		return false;
	json_key(&w, "root");
	json_object_begin(&w);
	json_put_text(&w, "path", "rootfs");
	json_put_bool(&w, "readonly",
		json_get_bool(bundle->container, "readonlyRootFilesystem", false));
	json_object_end(&w);
	json_put_text(&w, "hostname", bundle->hostname);
	if (!write_mounts(&w, bundle, err) || !write_linux(&w, bundle, err))
		return false;
	json_object_end(&w);
	return true;
}

static bool make_inside(const struct bundle *bundle, const char *name, struct error *err)
{
	scoped(text_free) char *path = path_join(bundle->folder, name);

	/* upper's mode becomes the mode of the container's "/" */
	return folder_make(path, 0755, err);
}

static bool write_inside(const struct bundle *bundle, const char *name, struct str text,
	mode_t mode, struct error *err)
{
	scoped(text_free) char *path = path_join(bundle->folder, name);

	return file_write(path, text, mode, false, err);
}

static bool write_etc(const struct bundle *bundle, struct error *err)
{
	const struct json *extra = json_get(bundle->container, "extraHosts");
	scoped(buf_free) struct buf hosts = {0};
	scoped(text_free) char *hostname = memory_format("%s\n", bundle->hostname);

	buf_printf(&hosts, "127.0.0.1 localhost\n%s %s\n", bundle->ip, bundle->hostname);
	for (size_t i = 0; bundle->hosts && i < bundle->hosts->count; i++)
		buf_printf(&hosts, "%s\n", bundle->hosts->items[i]);
	for (size_t i = 0; i < json_count(extra); i++)
		buf_printf(&hosts, "%s %s\n", json_get_text(json_at(extra, i), "ipAddress", ""),
			json_get_text(json_at(extra, i), "hostname", ""));
	return write_inside(bundle, "hosts", buf_str(&hosts), 0644, err) &&
	       write_inside(bundle, "hostname", str_of(hostname), 0644, err) &&
	       write_inside(bundle, "resolv.conf",
		       str_literal("# No name server: names are in /etc/hosts.\n"), 0644, err);
}

/* Any user of a container may write to it; the folders above are ours alone. */
static bool make_volume(const char *path, struct error *err)
{
	if (!folder_make(path, 0777, err))
		return false;
	return chmod(path, 0777) == 0 ||
	       error_raise_errno(err, "open volume \"%s\" to all users", path);
}

static bool make_volumes(const struct bundle *bundle, struct error *err)
{
	const struct json *points = json_get(bundle->container, "mountPoints");

	for (size_t i = 0; i < json_count(points); i++) {
		scoped(text_free) char *path = NULL;
		const char *name = json_get_text(json_at(points, i), "sourceVolume", "");

		if (!volume_source(bundle, name, &path, err))
			return false;
		if ((path_is_below(path, bundle->volumes) ||
			    path_is_below(path, bundle->shared_volumes)) &&
			!make_volume(path, err))
			return false;
	}
	return true;
}

bool bundle_write(const struct bundle *bundle, struct error *err)
{
	scoped(buf_free) struct buf config = {0};

	return bundle_config(bundle, &config, err) && make_inside(bundle, "rootfs", err) &&
	       make_inside(bundle, "upper", err) && make_inside(bundle, "work", err) &&
	       write_etc(bundle, err) && make_volumes(bundle, err) &&
	       /* 0600: the environment may hold what others must not read */
	       write_inside(bundle, "config.json", buf_str(&config), 0600, err);
}
