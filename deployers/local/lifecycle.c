#include "deployers/local/lifecycle.h"

#include "base/json.h"
#include "base/memory.h"

#include <stdlib.h>

enum { RULES_MAX = 50, WILDCARDS_MAX = 4, TEXT_LIMIT = 30720 };

static const int64_t day_ms = (int64_t)24 * 3600 * 1000;

enum tag_status {
	TAG_ANY,
	TAG_TAGGED,
	TAG_UNTAGGED,
};

struct rule {
	int64_t priority;
	enum tag_status status;
	struct strings patterns; /* a tag for each must match; a prefix ends with '*' */
	bool by_age;             /* sinceImagePushed; else imageCountMoreThan */
	int64_t number;          /* of days or images */
};

struct lifecycle {
	struct rule rules[RULES_MAX]; /* by priority */
	size_t count;
};

/* --- reading a policy --- */

static bool invalid(struct error *err, size_t rule, const char *what)
{
	return error_raise(err, ERROR_INVALID, "Lifecycle policy validation failure: rule %zu: %s",
		rule + 1, what);
}

/* Refuses members that are not in the list (between spaces). */
static bool only_members(const struct json *object, const char *known, const char **out_unknown)
{
	for (json_each(member, object)) {
		scoped(text_free) char *word = memory_format(" %s ", member.key);

		if (!strstr(known, word)) {
			*out_unknown = member.key;
			return false;
		}
	}
	return true;
}

/* What is in a list of prefixes or patterns, as patterns. */
static bool read_patterns(const struct json *list, bool prefixes, struct strings *out)
{
	for (size_t i = 0; i < json_count(list); i++) {
		const char *text = json_text(json_at(list, i), "");
		size_t stars = 0;

		for (const char *c = text; *c; c++) {
			bool star = *c == '*';

			if (*c == '?' || (star && (prefixes || ++stars > WILDCARDS_MAX)))
				return false;
		}
		if (!*text)
			return false;
		strings_printf(out, prefixes ? "%s*" : "%s", text);
	}
	return true;
}

static bool read_tags(const struct json *selection, size_t at, struct rule *rule, struct error *err)
{
	static const char *const statuses[] = {"any", "tagged", "untagged"};
	const char *status = json_get_text(selection, "tagStatus", "");
	const struct json *prefixes = json_get(selection, "tagPrefixList"),
			  *patterns = json_get(selection, "tagPatternList");
	size_t which = 0;

	while (which < countof(statuses) && !text_equal(status, statuses[which]))
		which++;
	if (which == countof(statuses))
		return invalid(err, at, "tagStatus must be tagged, untagged or any");
	rule->status = (enum tag_status)which;
	if (rule->status != TAG_TAGGED)
		return (!json_count(prefixes) && !json_count(patterns)) ||
		       invalid(err, at, "only tagged images are selected by prefix or pattern");
	if (!json_count(prefixes) == !json_count(patterns))
		return invalid(err, at,
			"tagged images need either a tagPrefixList or a tagPatternList");
	return read_patterns(prefixes, true, &rule->patterns) &&
			       read_patterns(patterns, false, &rule->patterns)
		       ? true
		       : invalid(err, at,
				 "a prefix is text without wildcards, a pattern has at most four");
}

static bool read_count(const struct json *selection, size_t at, struct rule *rule,
	struct error *err)
{
	const char *type = json_get_text(selection, "countType", ""),
		   *unit = json_get_text(selection, "countUnit", NULL);

	rule->by_age = text_equal(type, "sinceImagePushed");
	if (!rule->by_age && !text_equal(type, "imageCountMoreThan"))
		return invalid(err, at, "countType must be imageCountMoreThan or sinceImagePushed");
	if (rule->by_age ? !text_equal(unit, "days") : unit != NULL)
		return invalid(err, at,
			"countUnit must be days with sinceImagePushed, and absent otherwise");
	rule->number = json_get_int(selection, "countNumber", 0);
	return rule->number >= 1 || invalid(err, at, "countNumber must be 1 or more");
}

static bool read_rule(const struct json *object, size_t at, struct rule *rule, struct error *err)
{
	const struct json *selection = json_get(object, "selection"),
			  *action = json_get(object, "action");
	scoped(text_free) char *message = NULL;
	const char *unknown = NULL;

	if (!only_members(object, " rulePriority description selection action ", &unknown) ||
		!only_members(selection,
			" tagStatus tagPrefixList tagPatternList countType countUnit countNumber ",
			&unknown) ||
		!only_members(action, " type ", &unknown)) {
		message = memory_format("the local cloud knows no member \"%s\"", unknown);
		return invalid(err, at, message);
	}
	rule->priority = json_get_int(object, "rulePriority", 0);
	if (rule->priority < 1)
		return invalid(err, at, "rulePriority must be 1 or more");
	if (!text_equal(json_get_text(action, "type", ""), "expire"))
		return invalid(err, at, "action must be {\"type\": \"expire\"}");
	return read_tags(selection, at, rule, err) && read_count(selection, at, rule, err);
}

static int compare_rules(const void *a, const void *b)
{
	const struct rule *x = a, *y = b;

	return (x->priority > y->priority) - (x->priority < y->priority);
}

/* What rules must be to each other; they are sorted. */
static bool check_rules(const struct lifecycle *lifecycle, struct error *err)
{
	size_t untagged = 0;

	for (size_t i = 0; i < lifecycle->count; i++) {
		const struct rule *rule = &lifecycle->rules[i];

		if (i && rule->priority == rule[-1].priority)
			return invalid(err, i, "another rule has its rulePriority");
		if (rule->status == TAG_ANY && i + 1 < lifecycle->count)
			return invalid(err, i,
				"a rule for any image must be the last: one of them, with the "
				"highest rulePriority");
		if (rule->status == TAG_UNTAGGED && untagged++)
			return invalid(err, i, "only one rule may be for untagged images");
	}
	return true;
}

bool lifecycle_parse(struct str text, struct lifecycle **out_lifecycle, struct error *err)
{
	scoped(lifecycle_free) struct lifecycle *lifecycle = memory_new(sizeof(*lifecycle));
	scoped(json_free) struct json *document = NULL;

	if (!json_parse(text, "the lifecycle policy",
		    &(struct json_limits){.size_bytes = TEXT_LIMIT}, &document, err))
		return false;
	const struct json *rules = json_get(document, "rules");

	if (!json_is_array(rules) || !json_count(rules) || json_count(rules) > RULES_MAX)
		return error_raise(err, ERROR_INVALID,
			"Lifecycle policy validation failure: there must be 1 to %d rules",
			RULES_MAX);
	for (size_t i = 0; i < json_count(rules); i++) {
		lifecycle->count = i + 1;
		if (!read_rule(json_at(rules, i), i, &lifecycle->rules[i], err))
			return false;
	}
	qsort(lifecycle->rules, lifecycle->count, sizeof(*lifecycle->rules), compare_rules);
	if (!check_rules(lifecycle, err))
		return false;
	*out_lifecycle = lifecycle;
	lifecycle = NULL;
	return true;
}

void lifecycle_free(struct lifecycle **address)
{
	struct lifecycle *lifecycle = *address;

	if (!lifecycle)
		return;
	for (size_t i = 0; i < lifecycle->count; i++)
		strings_free(&lifecycle->rules[i].patterns);
	free(lifecycle);
	*address = NULL;
}

/* --- deciding --- */

static bool has_tag_like(const struct strings *tags, const char *pattern)
{
	for (size_t i = 0; i < tags->count; i++)
		if (text_matches(tags->items[i], pattern))
			return true;
	return false;
}

static bool selects(const struct rule *rule, const struct lifecycle_image *image)
{
	if (rule->status == TAG_UNTAGGED)
		return !image->tags->count;
	for (size_t i = 0; i < rule->patterns.count; i++)
		if (!has_tag_like(image->tags, rule->patterns.items[i]))
			return false;
	return rule->status == TAG_ANY || image->tags->count;
}

/* Newest first; of the same moment by digest, so that the answer is always the same. */
static int compare_images(const void *a, const void *b)
{
	const struct lifecycle_image *x = *(struct lifecycle_image *const *)a,
				     *y = *(struct lifecycle_image *const *)b;

	if (x->pushed_ms != y->pushed_ms)
		return x->pushed_ms < y->pushed_ms ? 1 : -1;
	return strcmp(x->digest, y->digest);
}

/* Whether a rule before this one selects the image, whatever it then did about it. */
static bool is_taken(const struct lifecycle *lifecycle, size_t before,
	const struct lifecycle_image *image)
{
	for (size_t i = 0; i < before; i++)
		if (selects(&lifecycle->rules[i], image))
			return true;
	return false;
}

static bool is_over(const struct rule *rule, const struct lifecycle_image *image, size_t newer,
	int64_t now_ms)
{
	if (!rule->by_age)
		return newer >= (size_t)rule->number;
	/* Days that do not fit a clock have not passed. */
	return rule->number <= INT64_MAX / day_ms &&
	       now_ms - image->pushed_ms > rule->number * day_ms;
}

static bool contains(const struct lifecycle_image *index, const char *digest)
{
	for (size_t i = 0; index->contains && i < index->contains->count; i++)
		if (text_equal(index->contains->items[i], digest))
			return true;
	return false;
}

/* An image whose index stays, stays; which may keep the images of that one in turn. */
static void keep_parts(struct lifecycle_image *images, size_t count)
{
	bool changed = true;

	while (changed) {
		changed = false;
		for (size_t i = 0; i < count; i++)
			for (size_t j = 0; !images[i].expired_by && images[i].contains && j < count;
				j++)
				if (images[j].expired_by &&
					contains(&images[i], images[j].digest)) {
					images[j].expired_by = 0;
					changed = true;
				}
	}
}

void lifecycle_decide(const struct lifecycle *lifecycle, struct lifecycle_image *images,
	size_t count, int64_t now_ms)
{
	struct lifecycle_image **sorted =
		memory_new_array(count + 1, sizeof(struct lifecycle_image *));

	for (size_t i = 0; i < count; i++) {
		images[i].expired_by = 0;
		sorted[i] = &images[i];
	}
	qsort(sorted, count, sizeof(struct lifecycle_image *), compare_images);
	for (size_t r = 0; r < lifecycle->count; r++) {
		const struct rule *rule = &lifecycle->rules[r];
		size_t newer = 0;

		for (size_t i = 0; i < count; i++) {
			if (!selects(rule, sorted[i]))
				continue;
			if (is_over(rule, sorted[i], newer, now_ms) &&
				!is_taken(lifecycle, r, sorted[i]))
				sorted[i]->expired_by = rule->priority;
			newer++;
		}
	}
	keep_parts(images, count);
	free(sorted);
}
