#include "deployers/local/bundle_internal.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <stdlib.h>

enum {
	CPU_PERIOD_US = 100000,
	DEFAULT_SHARES = 1024,
	PROCESS_LIMIT = 4096,
	STOP_TIMEOUT = 30,
	STOP_TIMEOUT_MAX = 120,
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
	/* Without a share of its own a container has the task's: the least possible, as ECS gives it
	 * beside others of its task, would starve it behind every build on this machine. */
	json_put_int(w, "shares", cpu > 2 ? cpu : task_cpu ? task_cpu : DEFAULT_SHARES);
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
	if (!bundle_write_process(&w, bundle, err))
		return false;
	json_key(&w, "root");
	json_object_begin(&w);
	json_put_text(&w, "path", "rootfs");
	json_put_bool(&w, "readonly",
		json_get_bool(bundle->container, "readonlyRootFilesystem", false));
	json_object_end(&w);
	json_put_text(&w, "hostname", bundle->hostname);
	if (!bundle_write_mounts(&w, bundle, err) || !write_linux(&w, bundle, err))
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
	for (size_t i = 0; i < json_count(extra); i++)
		buf_printf(&hosts, "%s %s\n", json_get_text(json_at(extra, i), "ipAddress", ""),
			json_get_text(json_at(extra, i), "hostname", ""));
	return write_inside(bundle, "hosts", buf_str(&hosts), 0644, err) &&
	       write_inside(bundle, "hostname", str_of(hostname), 0644, err) &&
	       write_inside(bundle, "resolv.conf",
		       str_literal("# No name server: names are in /etc/hosts.\n"), 0644, err);
}

bool bundle_write(const struct bundle *bundle, struct error *err)
{
	scoped(buf_free) struct buf config = {0};

	return bundle_config(bundle, &config, err) && make_inside(bundle, "rootfs", err) &&
	       make_inside(bundle, "upper", err) && make_inside(bundle, "work", err) &&
	       write_etc(bundle, err) && bundle_make_volumes(bundle, err) &&
	       /* 0600: the environment may hold what others must not read */
	       write_inside(bundle, "config.json", buf_str(&config), 0600, err);
}
