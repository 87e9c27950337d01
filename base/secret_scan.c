#include "base/secret_scan.h"

#include "base/memory.h"
#include "base/secret_shape.h"

#include <stdlib.h>

enum {
	WINDOW = 4,           /* bytes that each secret is looked for by */
	STEP = WINDOW - 1,    /* one of three pairs of neighbours is at a multiple of it */
	GIVEN_COMPARED = 512, /* bytes of a given secret that are compared */
	HELD = SECRET_SHAPE_BEHIND + SECRET_SHAPE_AHEAD,
	AT_ONCE = 8, /* looks before anything is decided */
	PAIRS = 1 << 14,
	HASHES = 4096,
	BUCKETS = 1024,
};
_Static_assert((int)GIVEN_COMPARED <= (int)SECRET_SHAPE_AHEAD, "what is held decides all");

static const char given_kind[] = "a secret of this run";

struct rule {
	uint32_t window;
	const struct secret_shape *shape; /* NULL: the given secret */
	struct str given;
	size_t window_at; /* in the secret */
	size_t next;      /* in the same bucket: index + 1 */
};

struct secret_rules {
	/* Is there a window with these two neighbours? Of the second one six bits count: all eight would
	 * be a table that pushes itself out of the fastest cache, and takes twice as long. A byte each,
	 * because looking at a bit takes three times as many instructions. */
	unsigned char pairs[PAIRS];
	uint32_t hashes[HASHES / 32];
	uint16_t buckets[BUCKETS]; /* index + 1 */
	struct rule *rules;        /* owned */
	size_t count;
	struct strings given, forms; /* owned; as they were given, and as they are looked for */
};

static uint32_t word_at(const char *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return word;
}

static uint32_t hash_of(uint32_t window)
{
	return (window * 0x9e3779b1u) >> 20;
}

static void set_bit(uint32_t *bits, uint32_t at)
{
	bits[at / 32] |= 1u << (at % 32);
}

static bool has_bit(const uint32_t *bits, uint32_t at)
{
	return bits[at / 32] >> (at % 32) & 1;
}

static size_t pair_at(const char *at)
{
	uint16_t pair;

	memcpy(&pair, at, sizeof(pair));
	return pair % PAIRS;
}

static unsigned char places_of(const struct secret_rules *rules, const char *at)
{
	return rules->pairs[pair_at(at)];
}

/* Four bytes that are not all the same, as in "-----BEGIN": such runs are frequent. */
static size_t choose_window(const char *text, size_t size)
{
	size_t at = 0;

	while (at + WINDOW < size && at < 64 && text[at] == text[at + 1])
		at++;
	return at && at + WINDOW < size ? at + 1 : at;
}

static void add_rule(struct secret_rules *rules, struct str secret, struct rule rule)
{
	uint16_t *bucket;

	rule.window_at = choose_window(secret.data, secret.size);
	const char *text = secret.data + rule.window_at;

	rule.window = word_at(text);
	bucket = &rules->buckets[hash_of(rule.window) % BUCKETS];
	rule.next = *bucket;
	for (size_t i = 0; i < STEP; i++)
		rules->pairs[pair_at(text + i)] |= (unsigned char)(1u << i);
	set_bit(rules->hashes, hash_of(rule.window));
	rules->rules[rules->count++] = rule;
	*bucket = (uint16_t)rules->count;
}

/* The secret, and what base64 makes of it; its last characters depend on what follows. */
static void add_forms(struct secret_rules *rules, const char *secret)
{
	scoped(buf_free) struct buf encoded = {0};
	size_t size = strlen(secret), whole = size / 3 * 3;

	strings_add(&rules->given, secret);
	strings_add(&rules->forms, secret);
	if (whole < SECRET_SCAN_LEAST)
		return;
	base64_append(&encoded, secret, whole);
	strings_add(&rules->forms, buf_text(&encoded));
}

struct secret_rules *secret_rules_new(const struct strings *given)
{
	enum { GIVEN_LIMIT = 10000 };
	struct secret_rules *rules = memory_new(sizeof(*rules));

	for (size_t i = 0; given && i < given->count && i < GIVEN_LIMIT; i++)
		if (strlen(given->items[i]) >= SECRET_SCAN_LEAST &&
			!strings_contain(&rules->given, given->items[i]))
			add_forms(rules, given->items[i]);
	strings_sort(&rules->given);
	rules->rules =
		memory_new_array(secret_shape_count + rules->forms.count, sizeof(*rules->rules));
	for (size_t i = 0; i < secret_shape_count; i++)
		add_rule(rules, str_of(secret_shapes[i].anchor),
			(struct rule){.shape = &secret_shapes[i]});
	for (size_t i = 0; i < rules->forms.count; i++) {
		struct str form = str_of(rules->forms.items[i]);

		if (form.size > GIVEN_COMPARED)
			form.size = GIVEN_COMPARED;
		add_rule(rules, form, (struct rule){.given = form});
	}
	return rules;
}

void secret_rules_free(struct secret_rules **rules)
{
	if (!*rules)
		return;
	free((*rules)->rules);
	strings_free(&(*rules)->given);
	strings_free(&(*rules)->forms);
	free(*rules);
	*rules = NULL;
}

struct digest secret_rules_identity(const struct secret_rules *rules, struct str key)
{
	scoped(buf_free) struct buf text = {0};

	buf_printf(&text, "secrets %d %d\n", SECRET_SHAPE_VERSION, SECRET_SCAN_LEAST);
	for (size_t i = 0; i < rules->given.count; i++)
		buf_append(&text, rules->given.items[i], strlen(rules->given.items[i]) + 1);
	return hmac_sha256(key.data, key.size, text.data, text.size);
}

struct secret_scan {
	const struct secret_rules *rules;
	char held[2 * HELD]; /* the end of what came before: context, then what is undecided */
	size_t held_size;
	size_t undecided;   /* where in held */
	int64_t held_start; /* of held in the stream */
	struct secret_hit hit;
};

struct secret_scan *secret_scan_new(const struct secret_rules *rules)
{
	struct secret_scan *scan = memory_new(sizeof(*scan));

	scan->rules = rules;
	return scan;
}

void secret_scan_free(struct secret_scan **scan)
{
	free(*scan);
	*scan = NULL;
}

void secret_scan_begin(struct secret_scan *scan)
{
	scan->held_size = scan->undecided = 0;
	scan->held_start = 0;
	scan->hit = (struct secret_hit){0};
}

static void note_hit(struct secret_hit *hit, const struct rule *rule, int64_t offset)
{
	bool given = !rule->shape;

	if (hit->kind && (hit->given > given || (hit->given == given && hit->offset <= offset)))
		return;
	*hit = (struct secret_hit){given ? given_kind : rule->shape->kind, given, offset};
}

/* What is looked for, and where: windows that begin in [from, to) of text, whose first byte is at start
 * of the stream. */
struct search {
	const struct secret_rules *rules;
	struct str text;
	size_t from, to;
	int64_t start;
	struct secret_hit *hit;
};

/* Looks at every rule with the window that stands at text + at. */
static void try_rules(const struct search *search, size_t at)
{
	const struct secret_rules *rules = search->rules;
	struct str text = search->text;
	uint32_t window = word_at(text.data + at);

	for (size_t i = rules->buckets[hash_of(window) % BUCKETS]; i;) {
		const struct rule *rule = &rules->rules[i - 1];
		struct secret_place place = {0, 0};

		i = rule->next;
		if (rule->window != window || at < rule->window_at)
			continue;
		size_t begin = at - rule->window_at;
		size_t behind = begin < SECRET_SHAPE_BEHIND ? begin : SECRET_SHAPE_BEHIND;
		struct str before = {text.data + begin - behind, behind};
		struct str rest = {text.data + begin, text.size - begin};
		if (rest.size > SECRET_SHAPE_AHEAD)
			rest.size = SECRET_SHAPE_AHEAD;
		if (rule->shape ? secret_shape_match(rule->shape, before, rest, true, &place) ==
					  SECRET_WHOLE
				: rule->given.size <= rest.size &&
					  memcmp(rule->given.data, rest.data, rule->given.size) ==
						  0)
			note_hit(search->hit, rule, search->start + (int64_t)(begin + place.start));
	}
}

/* The windows that a pair at text + at may belong to: places has what the table says of the pair. */
static void try_pair(const struct search *search, size_t at, unsigned places)
{
	for (; places; places &= places - 1) {
		size_t back = (size_t)__builtin_ctz(places), begin = at - back;

		if (at >= back && begin >= search->from && begin < search->to &&
			begin + WINDOW <= search->text.size &&
			has_bit(search->rules->hashes, hash_of(word_at(search->text.data + begin))))
			try_rules(search, begin);
	}
}

/* Some of the pairs from text + at on are those of windows. */
static void try_pairs(const struct search *search, size_t at)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < AT_ONCE; i++)
		found |= (uint64_t)places_of(search->rules, search->text.data + at + i * STEP)
			 << (8 * i);
	for (; found; found &= found - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(found);

		try_pair(search, at + bit / 8 * STEP, 1u << bit % 8);
	}
}

static void search_all(const struct search *search)
{
	const struct secret_rules *rules = search->rules;
	const char *data = search->text.data;
	size_t at = search->from;
	/* A window that begins at to - 1 may be met at its last pair, two bytes on. */
	size_t end = search->to + STEP - 1 < search->text.size ? search->to + STEP - 1
							       : search->text.size;

	for (; at + AT_ONCE * STEP < end; at += AT_ONCE * STEP) {
		unsigned any = 0;

		/* One branch for all. */
#pragma GCC unroll 8
		for (size_t i = 0; i < AT_ONCE; i++)
			any |= places_of(rules, data + at + i * STEP);
		if (any)
			try_pairs(search, at);
	}
	for (; at < end && at + 1 < search->text.size; at += STEP)
		try_pair(search, at, places_of(rules, data + at));
}

/* Looks at what is held once nothing is to come, or keeps its end as context. */
static void settle(struct secret_scan *scan, bool last)
{
	struct str text = {scan->held, scan->held_size};
	size_t to = last                             ? text.size
		    : text.size > SECRET_SHAPE_AHEAD ? text.size - SECRET_SHAPE_AHEAD
						     : 0;

	if (to > scan->undecided) {
		search_all(&(struct search){scan->rules, text, scan->undecided, to,
			scan->held_start, &scan->hit});
		scan->undecided = to;
	}
	if (scan->undecided > SECRET_SHAPE_BEHIND) {
		size_t drop = scan->undecided - SECRET_SHAPE_BEHIND;

		memmove(scan->held, scan->held + drop, scan->held_size - drop);
		scan->held_size -= drop;
		scan->undecided -= drop;
		scan->held_start += (int64_t)drop;
	}
}

void secret_scan_feed(struct secret_scan *scan, const void *bytes, size_t size)
{
	struct str piece = {bytes, size};
	int64_t start = scan->held_start + (int64_t)scan->held_size;
	/* As much as decides what is held and is context for the rest. */
	size_t part = size < HELD ? size : HELD;

	memcpy(scan->held + scan->held_size, piece.data, part);
	scan->held_size += part;
	settle(scan, false);
	if (part < HELD || size - part == 0)
		return;

	/* What is left undecided of held lies in the piece as well; now it is looked at there. */
	size_t from = (size_t)(scan->held_start + (int64_t)scan->undecided - start);
	size_t to = size - SECRET_SHAPE_AHEAD;

	search_all(&(struct search){scan->rules, piece, from, to, start, &scan->hit});
	memcpy(scan->held, piece.data + size - HELD, HELD);
	scan->held_size = HELD;
	scan->undecided = SECRET_SHAPE_BEHIND;
	scan->held_start = start + (int64_t)(size - HELD);
}

bool secret_scan_end(struct secret_scan *scan, struct secret_hit *out_hit)
{
	settle(scan, true);
	if (scan->hit.kind)
		*out_hit = scan->hit;
	return scan->hit.kind != NULL;
}

bool secret_scan_text(const struct secret_rules *rules, struct str text, struct secret_hit *out_hit)
{
	struct secret_hit hit = {0};

	if (text.size >= WINDOW)
		search_all(&(struct search){rules, text, 0, text.size, 0, &hit});
	if (hit.kind)
		*out_hit = hit;
	return hit.kind != NULL;
}
