#include "deployers/local/bundle.h"

#include "base/file.h"
#include "base/memory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ACCOUNTS_LIMIT = 1024 * 1024 };

/* Reads a file of the image from the topmost layer that has it. Links are followed inside that
 * layer only. */
static void read_from_image(const struct bundle *bundle, const char *name, struct buf *out)
{
	struct str rest = str_of(bundle->lower);
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};

	while (rest.data) {
		scoped(descriptor_close) int folder = -1, file = -1;
		scoped(text_free) char *layer = str_copy(str_cut(&rest, ':'));
		scoped(text_free) char *path = memory_format("%s/%s", bundle->layers, layer);
		ssize_t size;

		folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		file = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
		if (file < 0)
			continue;
		while (out->size < ACCOUNTS_LIMIT &&
			(size = read(file, buf_reserve(out, 65536), 65536)) > 0)
			out->size += (size_t)size;
		return;
	}
}

/* The line of passwd or group whose field is wanted: its fields 2 and 3. */
static bool find_account(struct str accounts, int field, struct str wanted, struct str out[4])
{
	while (accounts.data) {
		struct str line = str_cut(&accounts, '\n');

		for (int i = 0; i < 4; i++)
			out[i] = str_cut(&line, ':');
		if (str_equal(out[field], wanted))
			return true;
	}
	return false;
}

static bool parse_id(struct str text, uint32_t *out_id)
{
	int64_t id;

	if (!str_to_int(text, &id) || id < 0 || id > INT32_MAX)
		return false;
	*out_id = (uint32_t)id;
	return true;
}

bool bundle_user(const struct bundle *bundle, const char *user, uint32_t *out_uid,
	uint32_t *out_gid, struct error *err)
{
	scoped(buf_free) struct buf passwd = {0}, group = {0};
	struct str rest = str_of(user), fields[4], name = str_cut(&rest, ':');
	bool has_group = rest.data && rest.size;

	*out_uid = *out_gid = 0;
	if (!name.size)
		return true;
	bool number = parse_id(name, out_uid);

	if (number && has_group && parse_id(rest, out_gid))
		return true; /* the usual case needs no file */
	read_from_image(bundle, "etc/passwd", &passwd);
	if (find_account(buf_str(&passwd), number ? 2 : 0, name, fields)) {
		if (!parse_id(fields[2], out_uid) || !parse_id(fields[3], out_gid))
			return error_raise(err, ERROR_INVALID,
				"the image's /etc/passwd has no numbers for user \"%s\"", user);
	} else if (!number) {
		return error_raise(err, ERROR_INVALID,
			"unable to find user %.*s: no matching entries in passwd file",
			str_args(name));
	}
	if (!has_group || parse_id(rest, out_gid))
		return true;
	read_from_image(bundle, "etc/group", &group);
	if (find_account(buf_str(&group), 0, rest, fields) && parse_id(fields[2], out_gid))
		return true;
	return error_raise(err, ERROR_INVALID,
		"unable to find group %.*s: no matching entries in group file", str_args(rest));
}
