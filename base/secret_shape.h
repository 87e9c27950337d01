/*
 * secret_shape.h - what credentials look like: private keys, access keys and tokens that can be told
 *                  from ordinary text by their form alone.
 *
 * Each shape begins with an anchor, a text that is rare elsewhere ("ghp_", "-----BEGIN "); whoever
 * looks for shapes looks for anchors and asks secret_shape_match() there. secret_scan.h does so in
 * files at the speed of memory, masker_feed() in the output of commands.
 *
 * What counts      private keys in PEM (encrypted ones too: whoever has them can guess the pass
 *                  phrase at leisure) and PuTTY's form, age; AWS: secret keys beside their id or
 *                  behind their name, session tokens; tokens of GitHub, GitLab, Slack, Google, npm,
 *                  Docker Hub, PyPI, Stripe, Vault, DigitalOcean; JSON web tokens with a signature
 *                  (service accounts use them as passwords); auths of a docker config.json; .netrc.
 * What does not    public keys and certificates; placeholders (few different characters, EXAMPLE);
 *                  an AWS key id alone, which is no secret; the self-test keys of well-known
 *                  libraries, which everybody has; keys in DER, whatever is compressed or encoded.
 */
#ifndef BASE_SECRET_SHAPE_H
#define BASE_SECRET_SHAPE_H

#include "base/buf.h"

enum {
	SECRET_SHAPE_AHEAD = 1024, /* bytes from the anchor on that decide in any case */
	SECRET_SHAPE_BEHIND = 256, /* bytes before the anchor that may matter */
	SECRET_SHAPE_VERSION = 1,  /* changes when something else is found */
};

enum secret_match {
	SECRET_NONE,
	SECRET_PART, /* the text ends before it is decided */
	SECRET_WHOLE,
};

/* Where in the text the secret itself lies: behind its name, for those that are found by name. */
struct secret_place {
	size_t start, size;
};

struct secret_shape {
	const char *anchor;
	const char *kind; /* "a GitHub token" */
	/* For tokens: characters that may follow the anchor, how many at least and at most. */
	bool (*holds)(char c);
	unsigned least, most;
	/* For other shapes; before ends where text, which starts with the anchor, begins. */
	enum secret_match (*match)(const struct secret_shape *shape, struct str before,
		struct str text, bool last, struct secret_place *out_place);
};

extern const struct secret_shape secret_shapes[];
extern const size_t secret_shape_count;

/*
 * Is there a secret of that shape where text begins?
 *
 * before  what stands in front of it, as far as it is known
 * last    nothing follows text; else SECRET_PART may be the answer
 */
enum secret_match secret_shape_match(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place);

#endif
