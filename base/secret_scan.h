/*
 * secret_scan.h - finds secrets in a stream of bytes: those of this run, which are known, and what
 *                 looks like a credential (secret_shape.h).
 *
 *     rules = secret_rules_new(&given)                     once
 *     secret_scan_begin -> secret_scan_feed... -> secret_scan_end     for each file
 *
 * A secret is found wherever pieces end. What is compressed or encoded is not looked into, but for
 * the base64 form of given secrets.
 *
 * Speed      ten GB/s on binaries. Every secret has four bytes by which it is looked for; of three
 *            pairs of neighbours in them one lies at a position that is a multiple of three, so two
 *            bytes of three are looked at, in a table of 16 KiB, and nearly all end there.
 * Threads    rules are only read and may be shared; a scan belongs to one thread.
 * Ownership  rules own copies of what they look for; a scan borrows its rules.
 */
#ifndef BASE_SECRET_SCAN_H
#define BASE_SECRET_SCAN_H

#include "base/digest.h"

enum { SECRET_SCAN_LEAST = 8 }; /* shorter given secrets would be found everywhere */

struct secret_rules;

/* given may be NULL. Those shorter than SECRET_SCAN_LEAST are not looked for. */
struct secret_rules *secret_rules_new(const struct strings *given) must_use;
void secret_rules_free(struct secret_rules **rules);
/* Which rules these are, without telling: HMAC under key of the version and all given secrets. The
 * same for the same secrets in any order. */
struct digest secret_rules_identity(const struct secret_rules *rules, struct str key);

struct secret_hit {
	const char *kind; /* static: "a GitHub token" */
	bool given;       /* one of the run's own */
	int64_t offset;   /* of its first byte in the stream */
};

struct secret_scan; /* used again for one stream after the other */
struct secret_scan *secret_scan_new(const struct secret_rules *rules) must_use;
void secret_scan_free(struct secret_scan **scan);
void secret_scan_begin(struct secret_scan *scan);
void secret_scan_feed(struct secret_scan *scan, const void *bytes, size_t size);
/* True when there was a secret; *out_hit is the first one, but one of the run's own comes first. */
bool secret_scan_end(struct secret_scan *scan, struct secret_hit *out_hit);

/* All at once. */
bool secret_scan_text(const struct secret_rules *rules, struct str text,
	struct secret_hit *out_hit);

#endif
