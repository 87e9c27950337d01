#include "builders/image/leak_fence.h"

#include "base/memory.h"
#include "base/secret_scan.h"

#include <stdlib.h>

enum { NAMED = 10 }; /* secrets that are named in one error */

struct leak_fence {
	const struct strings *allowed; /* borrowed */
	struct secret_rules *rules;
	struct secret_scan *scan;
	const char *path;
	size_t found, refused;
	char *first;              /* owned; where the first one refused is */
	struct strings told;      /* of those refused: "/x has a private key" */
	struct strings allowance; /* of those allowed */
};

static bool check_allowed(const struct strings *allowed, struct error *err)
{
	for (size_t i = 0; allowed && i < allowed->count; i++) {
		struct str reason = str_of(allowed->items[i]), path = str_cut(&reason, '=');

		if (path.size && str_trim(reason).size)
			continue;
		error_raise(err, ERROR_USAGE, "allowing a secret in \"%.*s\" needs a reason",
			str_args(path));
		return error_next(err, "write PATH=REASON, for example "
				       "'/etc/app/test.pem=a key that everybody has'");
	}
	return true;
}

bool leak_fence_new(const struct strings *secrets, const struct strings *allowed,
	struct leak_fence **out_fence, struct error *err)
{
	if (!check_allowed(allowed, err))
		return false;
	struct leak_fence *fence = memory_new(sizeof(*fence));

	fence->allowed = allowed;
	fence->rules = secret_rules_new(secrets);
	fence->scan = secret_scan_new(fence->rules);
	*out_fence = fence;
	return true;
}

void leak_fence_free(struct leak_fence **fence)
{
	if (!*fence)
		return;
	secret_scan_free(&(*fence)->scan);
	secret_rules_free(&(*fence)->rules);
	free((*fence)->first);
	strings_free(&(*fence)->told);
	strings_free(&(*fence)->allowance);
	free(*fence);
	*fence = NULL;
}

/* Why a secret may be there; NULL when it may not. */
static const char *reason_of(const struct leak_fence *fence, const char *where)
{
	for (size_t i = 0; fence->allowed && i < fence->allowed->count; i++) {
		struct str reason = str_of(fence->allowed->items[i]);
		scoped(text_free) char *pattern = str_copy(str_cut(&reason, '='));

		if (text_matches(where, pattern))
			return reason.data;
	}
	return NULL;
}

static void note(struct leak_fence *fence, const char *where, const struct secret_hit *hit)
{
	const char *reason = reason_of(fence, where);

	fence->found++;
	if (reason) {
		strings_printf(&fence->allowance, "%s has %s, which is allowed: %s", where,
			hit->kind, reason);
		return;
	}
	if (fence->refused++ == 0)
		fence->first = memory_copy_text(where);
	if (fence->refused <= NAMED)
		strings_printf(&fence->told, "%s has %s (byte %lld)", where, hit->kind,
			(long long)hit->offset);
}

void leak_fence_begin(struct leak_fence *fence, const char *path)
{
	fence->path = path;
	secret_scan_begin(fence->scan);
}

void leak_fence_feed(struct leak_fence *fence, const void *bytes, size_t size)
{
	secret_scan_feed(fence->scan, bytes, size);
}

void leak_fence_end(struct leak_fence *fence)
{
	struct secret_hit hit;

	if (!secret_scan_end(fence->scan, &hit))
		return;
	scoped(text_free) char *where = memory_format("/%s", fence->path);
	note(fence, where, &hit);
}

void leak_fence_text(struct leak_fence *fence, const char *where, struct str text)
{
	struct secret_hit hit;

	if (secret_scan_text(fence->rules, text, &hit))
		note(fence, where, &hit);
}

void leak_fence_settings(struct leak_fence *fence, const char *kind, const struct strings *list)
{
	for (size_t i = 0; list && i < list->count; i++) {
		struct str rest = str_of(list->items[i]), name = str_cut(&rest, '=');
		/* An argument has no name, and what stands before '=' may be a secret. */
		scoped(text_free) char *where =
			text_equal(kind, "arg") ? memory_format("%s:%zu", kind, i + 1)
						: memory_format("%s:%.*s", kind, str_args(name));
		leak_fence_text(fence, where, str_of(list->items[i]));
	}
}

size_t leak_fence_count(const struct leak_fence *fence)
{
	return fence->found;
}

bool leak_fence_refuses(const struct leak_fence *fence)
{
	return fence->refused > 0;
}

struct digest leak_fence_identity(const struct leak_fence *fence, const struct digest *key)
{
	return secret_rules_identity(fence->rules,
		(struct str){(const char *)key->bytes, sizeof(key->bytes)});
}

bool leak_fence_verdict(const struct leak_fence *fence, struct strings *warnings, struct error *err)
{
	scoped(buf_free) struct buf rest = {0};

	for (size_t i = 0; i < fence->allowance.count; i++)
		strings_add(warnings, fence->allowance.items[i]);
	if (fence->refused == 0)
		return true;
	for (size_t i = 1; i < fence->told.count; i++)
		buf_printf(&rest, "; %s", fence->told.items[i]);
	if (fence->refused > fence->told.count)
		buf_printf(&rest, "; and %zu more", fence->refused - fence->told.count);
	error_raise(err, ERROR_FAILED, "a secret would be in the image: %s%s", fence->told.items[0],
		buf_text(&rest));
	return error_next(err,
		"leave it out; if it is none, or must be there: --allow-secret '%s=REASON'",
		fence->first);
}
