#include "pipeline/cli/admission.h"

#include "base/memory.h"
#include "base/path.h"
#include "builders/evidence/evidence_place.h"
#include "builders/evidence/verify.h"

enum { POLICY_LIMIT = 1 << 20 };

static bool judge(const char *image, const char *policy_path, const struct policy *policy,
	struct error *err)
{
	scoped(place_free) struct place place = {0};
	scoped(evidence_place_free) struct evidence_place at = {0};
	scoped(verification_free) struct verification verification = {0};

	if (!place_parse(image, &place, err) ||
		!evidence_place_open(&place, &(struct evidence_place_options){.image = true}, &at,
			err) ||
		!verify_image(&at.layout, &at.subject, policy,
			&(struct verify_options){.without_layers = true}, &verification, err))
		return false;
	if (verification.passed)
		return true;
	const struct verify_check *failed = verification_failure(&verification);
	error_raise(err, ERROR_FAILED, "the policy \"%s\" refuses the image: %s: %s", policy_path,
		failed->name, failed->detail);
	return error_next(err, "see all of it: dogshore image verify %s --policy %s --no-layers",
		image, policy_path);
}

bool admission_check(const char *image, const char *policy_path,
	bool (*read)(void *self, const char *path, size_t limit_bytes, struct buf *out,
		struct error *err),
	void *self, struct error *err)
{
	scoped(buf_free) struct buf text = {0};
	scoped(policy_free) struct policy policy = {0};
	scoped(text_free) char *folder = path_parent(policy_path);
	const struct policy_files files = {.read = read, .self = self};

	if (!read(self, policy_path, POLICY_LIMIT, &text, err))
		return error_while(err, "reading the policy \"%s\"", policy_path);
	return policy_parse(buf_str(&text), policy_path, folder, &files, &policy, err) &&
	       judge(image, policy_path, &policy, err);
}
