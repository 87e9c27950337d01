#include "pipeline/cli/deploy_admission.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/path.h"
#include "pipeline/cli/admission.h"

/* A file of the repository; an absolute path is this machine's. */
static bool read_file(void *self, const char *path, size_t limit_bytes, struct buf *out,
	struct error *err)
{
	struct deploy_target *target = self;

	if (*path == '/')
		return file_read(path, limit_bytes, out, err);
	scoped(text_free) char *inside = path_normalise(path);
	if (target->opened.snapshot)
		return snapshot_read(target->opened.snapshot, inside, limit_bytes, out, err);
	scoped(text_free) char *whole = path_join(target->folder, inside);
	return file_read(whole, limit_bytes, out, err);
}

bool deploy_admit(void *context, const char *image, struct error *err)
{
	struct deploy_target *target = context;
	const char *policy = target->environment->verify;

	if (!policy)
		return true;
	return admission_check(image, policy, read_file, target, err) ||
	       error_while(err, "asking whether the environment \"%s\" takes %s",
		       target->environment->name, image);
}
