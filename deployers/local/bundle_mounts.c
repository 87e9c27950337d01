#include "deployers/local/bundle_internal.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"

#include <sys/stat.h>

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

bool bundle_write_mounts(struct json_writer *w, const struct bundle *bundle, struct error *err)
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

/* Any user of a container may write to it; the folders above are ours alone. */
static bool make_volume(const char *path, struct error *err)
{
	if (!folder_make(path, 0777, err))
		return false;
	return chmod(path, 0777) == 0 ||
	       error_raise_errno(err, "open volume \"%s\" to all users", path);
}

bool bundle_make_volumes(const struct bundle *bundle, struct error *err)
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
