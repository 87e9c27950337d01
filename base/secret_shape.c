#include "base/secret_shape.h"

#include "base/digest.h"

enum {
	TOKEN_MOST = 512,
	PEM_MOST = 16 * 1024,
	VARIETY = 8, /* different characters in what was made at random */
	AWS_SECRET = 40,
	AWS_ID = 20,
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
	return is_digit(c) || is_upper(c) || is_lower(c);
}

static bool is_word(char c)
{
	return is_alnum(c) || c == '_';
}

static bool is_word_or_dash(char c)
{
	return is_word(c) || c == '-';
}

static bool is_word_dash_or_dot(char c)
{
	return is_word_or_dash(c) || c == '.';
}

static bool is_alnum_or_dash(char c)
{
	return is_alnum(c) || c == '-';
}

static bool is_alnum_or_slash(char c)
{
	return is_alnum(c) || c == '/';
}

static bool is_base64(char c)
{
	return is_alnum(c) || c == '+' || c == '/';
}

static bool is_base64_padded(char c)
{
	return is_base64(c) || c == '=';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

/* Characters of the class from `from` on, at most `most`. */
static size_t run(struct str text, size_t from, bool (*holds)(char c), size_t most)
{
	size_t size = 0;

	while (from + size < text.size && size < most && holds(text.data[from + size]))
		size++;
	return size;
}

static struct str slice(struct str text, size_t from, size_t size)
{
	return (struct str){text.data + from, size};
}

static bool has_text(struct str piece, const char *word)
{
	return memmem(piece.data, piece.size, word, strlen(word)) != NULL;
}

/* "xxxxxxxxxxxx" and "EXAMPLEKEY" are what documents show, no secrets. */
static bool is_varied(struct str piece, unsigned least)
{
	bool seen[256] = {false};
	unsigned count = 0;

	for (size_t i = 0; i < piece.size; i++) {
		bool *mark = &seen[(unsigned char)piece.data[i]];

		count += !*mark;
		*mark = true;
	}
	return count >= least && !has_text(piece, "EXAMPLE");
}

static bool follows_word(struct str before)
{
	return before.size > 0 && is_alnum(before.data[before.size - 1]);
}

/* ---- tokens: the anchor and a run of characters */

static enum secret_match match_token(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t anchor = strlen(shape->anchor);
	size_t size = run(text, anchor, shape->holds, shape->most + 1);

	if (follows_word(before))
		return SECRET_NONE;
	if (!last && anchor + size == text.size && size <= shape->most)
		return SECRET_PART;
	if (size < shape->least || (size > shape->most && shape->most < TOKEN_MOST) ||
		!is_varied(slice(text, anchor, size), VARIETY))
		return SECRET_NONE;
	*out_place = (struct secret_place){0, anchor + size};
	return SECRET_WHOLE;
}

/* ---- JSON web tokens: header.payload.signature, the first two being JSON objects */

static enum secret_match match_jwt(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	(void)shape;
	if (before.size > 0 && is_word_dash_or_dot(before.data[before.size - 1]))
		return SECRET_NONE;
	size_t header = run(text, 0, is_word_or_dash, TOKEN_MOST), at = header + 1;
	if (at + 3 > text.size)
		return last || header == TOKEN_MOST ? SECRET_NONE : SECRET_PART;
	if (text.data[header] != '.' || memcmp(text.data + at, "eyJ", 3) != 0)
		return SECRET_NONE;
	size_t payload = run(text, at, is_word_or_dash, 16 * TOKEN_MOST), end = at + payload;
	if (end == text.size && !last && payload < 16 * TOKEN_MOST)
		return SECRET_PART;
	/* Too long to see the signature in what is decided upon at once: no other text is like it. */
	if (end < text.size && text.data[end] == '.') {
		size_t signature = run(text, end + 1, is_word_or_dash, 2 * TOKEN_MOST);

		end += 1 + signature;
		if (end == text.size && !last && signature < 2 * TOKEN_MOST)
			return SECRET_PART;
		if (signature < 20 && end < text.size)
			return SECRET_NONE;
	} else if (end < text.size || payload < TOKEN_MOST / 4) {
		return SECRET_NONE;
	}
	*out_place = (struct secret_place){0, end};
	return SECRET_WHOLE;
}

/* ---- AWS */

static bool is_aws_secret(struct str text, size_t at, struct str before)
{
	size_t size = run(text, at, is_base64, AWS_SECRET + 1);
	bool upper = false, lower = false, digit = false;

	if (size != AWS_SECRET ||
		(at == 0 && before.size > 0 && is_base64(before.data[before.size - 1])) ||
		(at > 0 && is_base64(text.data[at - 1])))
		return false;
	for (size_t i = at; i < at + size; i++) {
		upper |= is_upper(text.data[i]);
		lower |= is_lower(text.data[i]);
		digit |= is_digit(text.data[i]);
	}
	return upper && lower && digit && is_varied(slice(text, at, size), 2 * VARIETY);
}

/* Where one lies in text; its size when there is none. */
static size_t find_aws_secret(struct str text)
{
	for (size_t at = 0; at + AWS_SECRET <= text.size;) {
		size_t size = run(text, at, is_base64, text.size);

		if (size == AWS_SECRET && is_aws_secret(text, at, (struct str){0}))
			return at;
		at += size + 1;
	}
	return text.size;
}

/* An access key id and, within a few lines, a secret key. The id alone is a name. */
static enum secret_match match_aws_pair(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t window = AWS_ID + SECRET_SHAPE_BEHIND;

	(void)shape;
	if (before.size > 0 && is_word(before.data[before.size - 1]))
		return SECRET_NONE;
	for (size_t i = 0; i < AWS_ID && i < text.size; i++)
		if (!is_upper(text.data[i]) && !is_digit(text.data[i]))
			return SECRET_NONE;
	if (text.size < window && !last)
		return SECRET_PART;
	if (text.size < AWS_ID || (text.size > AWS_ID && is_word(text.data[AWS_ID])) ||
		has_text(slice(text, 0, AWS_ID), "EXAMPLE"))
		return SECRET_NONE;
	struct str behind =
		before.size > SECRET_SHAPE_BEHIND
			? slice(before, before.size - SECRET_SHAPE_BEHIND, SECRET_SHAPE_BEHIND)
			: before;
	struct str ahead = slice(text, AWS_ID, (text.size < window ? text.size : window) - AWS_ID);
	size_t at = find_aws_secret(ahead);
	if (at < ahead.size)
		*out_place = (struct secret_place){AWS_ID + at, AWS_SECRET};
	else if (find_aws_secret(behind) < behind.size)
		*out_place = (struct secret_place){0, AWS_ID};
	else
		return SECRET_NONE;
	return SECRET_WHOLE;
}

/* What may stand between a name and its value: NAME = "value", "name": "value", name: value. */
static bool is_between(char c)
{
	return is_blank(c) || c == '"' || c == '\'' || c == '=' || c == ':' || c == '\\';
}

/* A secret that is known by the name before it. */
static enum secret_match match_named(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t at = strlen(shape->anchor);
	size_t between = run(text, at, is_between, 16);

	(void)before;
	at += between;
	size_t size = run(text, at, shape->holds, shape->most + 1);
	if (!last && at + size == text.size && size <= shape->most)
		return SECRET_PART;
	if (between == 0 || size < shape->least || size > shape->most ||
		!is_varied(slice(text, at, size), VARIETY))
		return SECRET_NONE;
	if (shape->most == AWS_SECRET && !is_aws_secret(text, at, before))
		return SECRET_NONE;
	*out_place = (struct secret_place){at, size};
	return SECRET_WHOLE;
}

/* ---- PEM */

/* The first 40 characters, or the first line, of keys that libgnutls and libmbedx509 carry to test themselves with:
 * everybody has them. */
static const char *const public_keys[] = {
	"MEcCAQAwBQYDK2VxBDsEOcUwM3PlIVddDpjHbTANVDGN82jtXJNMbq1oy5u5iJTe",
	"MC4CAQAwBQYDK2VwBCIEIH4WeqmZGZQlSY/8H85ZZimVd26h6I68gFNyBvyh3Vcy",
	"MGoCAQAwIQYIKoUDBwEBAQIwFQYJKoUDBwECAQIBBggqhQMHAQECAwRCBECjFpvp",
	"MEgCAQAwHwYIKoUDBwEBAQEwEwYHKoUDAgIjAQYIKoUDBwEBAgIEIgQgKOF96tom",
	"MEUCAQAwHAYGKoUDAgITMBIGByqFAwICIwEGByqFAwICHgEEIgQgdNfuHGmmTdPm",
	"MIHbAgEBBEGO2n7NN363qSCvJVdlQtCvudtaW4o0",
	"MIGkAgEBBDDevshD6gb+4rZpC9vwFcIwNs4KmGzd",
	"MGgCAQEEHOKWJFdWdrR/CgVrUeTeawOrJ9GozE9K",
	"MF8CAQEEGLjezFcbgDMeApVrdtZHvu/k1a8/tVZ4",
	"MHcCAQEEIPAKWV7+pZe9c5EubMNfAEKWRQtP/Mvl",
	"MIIDTQIBAAKCAQEAh60B6yPMRIT7udq2kKuwnQDo",
	"MIIEogIBAAKCAQEA6yCv+BLrRP/dMPBXJWK21c0a",
	"MIIEpAIBAAKCAQEAyHTEzLn5tXnpRdkUYLB9u5Py",
	"MIIEpAIBAAKCAQEAwU2j3efNHdEE10lyuJmsDnjk",
	"9Qd9GeArejl1GDVh2lLV1bHt0cPtfbh5h/5zVpAV",
	"MHcCAQEEIPb3hmTxZ3/mZI3vyk7p3U3wBf+WIop6",
	"MHcCAQEEIPEqEyB2AnCoPL/9U/YDHvdqXYbIogTy",
	"IxbrRmKcAzctJqPdTQLA4SWyBYYGYJVkYEna+F7P",
};

/* A line break as it is, or as it is written in a string. */
static size_t line_break(struct str text, size_t at)
{
	size_t size = 0;

	for (bool again = true; again;) {
		struct str rest = slice(text, at + size, text.size - at - size);

		again = true;
		if (rest.size > 0 && (is_space(rest.data[0]) || strchr("\"'+,", rest.data[0])) &&
			rest.data[0])
			size += 1;
		else if (str_starts_with(rest, "\\n") || str_starts_with(rest, "\\r"))
			size += 2;
		else
			again = false;
	}
	return size;
}

static bool is_header_name(char c)
{
	return is_alnum(c) || c == '-';
}

/* Skips "Proc-Type: 4,ENCRYPTED" and the like. */
static size_t skip_headers(struct str text, size_t at)
{
	for (int i = 0; i < 8; i++) {
		size_t name = run(text, at, is_header_name, 32), end = at + name;

		if (name == 0 || end + 1 >= text.size || text.data[end] != ':')
			break;
		while (end < text.size && line_break(slice(text, 0, text.size), end) == 0)
			end++;
		while (end < text.size && text.data[end] != '\n' && text.data[end] != '\\')
			end++;
		at = end + line_break(text, end);
	}
	return at;
}

static bool is_public_key(struct str text)
{
	for (size_t i = 0; i < sizeof(public_keys) / sizeof(public_keys[0]); i++)
		if (str_starts_with(text, public_keys[i]))
			return true;
	return false;
}

/* Where the key ends: behind its "-----END …-----", or where it cannot be one any more. */
static enum secret_match pem_end(struct str text, size_t at, bool last,
	struct secret_place *out_place)
{
	size_t limit = text.size < PEM_MOST ? text.size : PEM_MOST;
	const char *end = memmem(text.data + at, limit - at, "-----END", 8);
	const char *close = NULL;

	if (end) {
		size_t from = (size_t)(end - text.data) + 8;
		close = memmem(text.data + from, text.size - from, "-----", 5);
	}
	if (!close && !last && limit < PEM_MOST)
		return SECRET_PART;
	*out_place = (struct secret_place){0, close ? (size_t)(close - text.data) + 5 : limit};
	return SECRET_WHOLE;
}

static bool is_label(char c)
{
	return is_upper(c) || is_digit(c) || c == ' ';
}

static enum secret_match match_pem(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t from = strlen(shape->anchor), label = run(text, from, is_label, 48);
	size_t at = from + label;

	(void)before;
	if (at + 5 > text.size && !last && label < 48)
		return SECRET_PART;
	if (!has_text(slice(text, from, label), "PRIVATE KEY") ||
		!str_starts_with(slice(text, at, text.size - at), "-----"))
		return SECRET_NONE;
	/* What follows is decided upon within a limit, however much of it is there. */
	bool enough = last || text.size >= SECRET_SHAPE_AHEAD;
	struct str head =
		text.size > SECRET_SHAPE_AHEAD ? slice(text, 0, SECRET_SHAPE_AHEAD) : text;
	at += 5;
	at = skip_headers(head, at + line_break(head, at));
	struct str body = slice(head, at, run(head, at, is_base64_padded, AWS_SECRET));
	if (!enough && body.size < AWS_SECRET)
		return SECRET_PART;
	if (body.size < AWS_SECRET || !is_varied(body, VARIETY) ||
		is_public_key(slice(head, at, head.size - at)))
		return SECRET_NONE;
	return pem_end(text, at, last, out_place);
}

/* "Private-Lines: 14", a line break, base64: PuTTY's own form. */
static enum secret_match match_putty(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t at = strlen(shape->anchor), lines = run(text, at, is_digit, 4);

	(void)before;
	at += lines;
	size_t gap = line_break(text, at), body = run(text, at + gap, is_base64_padded, TOKEN_MOST);
	if (!last && text.size < SECRET_SHAPE_AHEAD)
		return SECRET_PART;
	if (lines == 0 || gap == 0 || body < 32)
		return SECRET_NONE;
	*out_place = (struct secret_place){at + gap, body};
	return SECRET_WHOLE;
}

/* ---- "auth": "dXNlcjpwYXNzd29yZA==" of a docker config.json */

static enum secret_match match_docker(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	scoped(buf_free) struct buf decoded = {0};
	size_t at = strlen(shape->anchor);

	(void)before;
	at += run(text, at, is_space, 8);
	bool colon = at < text.size && text.data[at] == ':';
	at += colon;
	at += run(text, at, is_space, 8);
	bool quote = at < text.size && text.data[at] == '"';
	at += quote;
	size_t size = run(text, at, is_base64_padded, TOKEN_MOST + 1);
	if (at + size == text.size)
		return last ? SECRET_NONE : SECRET_PART;
	if (!colon || !quote || size < 8 || size > TOKEN_MOST || text.data[at + size] != '"' ||
		!base64_decode(slice(text, at, size), &decoded))
		return SECRET_NONE;
	const char *split = memchr(decoded.data, ':', decoded.size);
	if (!split || split == decoded.data || split + 1 == decoded.data + decoded.size ||
		!str_is_utf8(buf_str(&decoded)))
		return SECRET_NONE;
	*out_place = (struct secret_place){at, size};
	return SECRET_WHOLE;
}

/* ---- machine HOST login USER password SECRET, of .netrc */

static bool is_visible(char c)
{
	return c > ' ' && c < 0x7f;
}

static bool skip_word(struct str text, const char *word, size_t *at)
{
	struct str rest = slice(text, *at, text.size - *at);

	if (rest.size <= strlen(word)) {
		if (memcmp(rest.data, word, rest.size) == 0)
			*at = text.size; /* it may go on */
		return false;
	}
	if (!str_starts_with(rest, word))
		return false;
	*at += strlen(word);
	size_t gap = run(text, *at, is_space, 64);
	*at += gap;
	return gap > 0;
}

static bool skip_value(struct str text, size_t *at)
{
	size_t size = run(text, *at, is_visible, 256);

	*at += size;
	size_t gap = run(text, *at, is_space, 64);
	*at += gap;
	return size > 0 && gap > 0;
}

static enum secret_match match_netrc(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t at = 0;

	(void)shape;
	if (before.size > 0 && !is_space(before.data[before.size - 1]))
		return SECRET_NONE;
	bool fits = skip_word(text, "machine", &at) && skip_value(text, &at) &&
		    skip_word(text, "login", &at) && skip_value(text, &at) &&
		    skip_word(text, "password", &at);
	size_t size = fits ? run(text, at, is_visible, 256) : 0;
	if (!last && at + size == text.size && size < 256)
		return SECRET_PART;
	if (size < 6)
		return SECRET_NONE;
	*out_place = (struct secret_place){at, size};
	return SECRET_WHOLE;
}

#define GITHUB "a GitHub token"
#define GITLAB "a GitLab token"
#define SLACK "a Slack token"
#define AWS_KEY "an AWS secret access key"
#define AWS_SESSION "an AWS session token"
#define JWT "a JSON web token"

const struct secret_shape secret_shapes[] = {
	{"-----BEGIN ", "a private key", NULL, 0, 0, match_pem},
	{"Private-Lines: ", "a private key", NULL, 0, 0, match_putty},
	{"AGE-SECRET-KEY-1", "a private key (age)", is_alnum, 50, 64, NULL},
	{"AKIA", "an AWS access key with its secret", NULL, 0, 0, match_aws_pair},
	{"ASIA", "an AWS access key with its secret", NULL, 0, 0, match_aws_pair},
	{"aws_secret_access_key", AWS_KEY, is_base64, 40, 40, match_named},
	{"AWS_SECRET_ACCESS_KEY", AWS_KEY, is_base64, 40, 40, match_named},
	{"SecretAccessKey", AWS_KEY, is_base64, 40, 40, match_named},
	{"secretAccessKey", AWS_KEY, is_base64, 40, 40, match_named},
	{"aws_session_token", AWS_SESSION, is_base64_padded, 100, 4096, match_named},
	{"AWS_SESSION_TOKEN", AWS_SESSION, is_base64_padded, 100, 4096, match_named},
	{"SessionToken", AWS_SESSION, is_base64_padded, 100, 4096, match_named},
	{"IQoJb3JpZ2lu", AWS_SESSION, is_base64_padded, 100, TOKEN_MOST, NULL},
	{"FwoGZXIvYXdz", AWS_SESSION, is_base64_padded, 100, TOKEN_MOST, NULL},
	{"ghp_", GITHUB, is_alnum, 36, 255, NULL},
	{"gho_", GITHUB, is_alnum, 36, 255, NULL},
	{"ghu_", GITHUB, is_alnum, 36, 255, NULL},
	{"ghs_", GITHUB, is_alnum, 36, 255, NULL},
	{"ghr_", GITHUB, is_alnum, 36, 255, NULL},
	{"github_pat_", GITHUB, is_word, 50, 255, NULL},
	{"glpat-", GITLAB, is_word_dash_or_dot, 20, 255, NULL},
	{"gldt-", GITLAB, is_word_or_dash, 20, 64, NULL},
	{"glrt-", GITLAB, is_word_dash_or_dot, 20, 64, NULL},
	{"glcbt-", GITLAB, is_word_or_dash, 20, 64, NULL},
	{"glptt-", GITLAB, is_word_or_dash, 40, 64, NULL},
	{"glsoat-", GITLAB, is_word_or_dash, 20, 64, NULL},
	{"glagent-", GITLAB, is_word_or_dash, 50, 64, NULL},
	{"xoxb-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xoxp-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xoxa-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xoxr-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xoxs-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xoxe-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xoxe.xox", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"xapp-", SLACK, is_alnum_or_dash, 20, 255, NULL},
	{"hooks.slack.com/services/T", "a Slack web hook", is_alnum_or_slash, 30, 96, NULL},
	{"AIza", "a Google API key", is_word_or_dash, 35, 35, NULL},
	{"GOCSPX-", "a Google OAuth secret", is_word_or_dash, 28, 28, NULL},
	{"npm_", "an npm token", is_alnum, 36, 36, NULL},
	{"dckr_pat_", "a Docker Hub token", is_word_or_dash, 20, 64, NULL},
	{"dckr_oat_", "a Docker Hub token", is_word_or_dash, 20, 64, NULL},
	{"pypi-AgEIcHlwaS5vcmc", "a PyPI token", is_word_or_dash, 50, TOKEN_MOST, NULL},
	{"sk_live_", "a Stripe key", is_alnum, 24, 255, NULL},
	{"rk_live_", "a Stripe key", is_alnum, 24, 255, NULL},
	{"hvs.", "a Vault token", is_word_or_dash, 24, 255, NULL},
	{"dop_v1_", "a DigitalOcean token", is_alnum, 64, 64, NULL},
	{"eyJhbGciOi", JWT, NULL, 0, 0, match_jwt},
	{"eyJ0eXAiOi", JWT, NULL, 0, 0, match_jwt},
	{"eyJraWQiOi", JWT, NULL, 0, 0, match_jwt},
	{"\"auth\"", "the credentials of a docker config.json", NULL, 0, 0, match_docker},
	{"machine ", "a password of a .netrc", NULL, 0, 0, match_netrc},
};
const size_t secret_shape_count = sizeof(secret_shapes) / sizeof(secret_shapes[0]);

enum secret_match secret_shape_match(const struct secret_shape *shape, struct str before,
	struct str text, bool last, struct secret_place *out_place)
{
	size_t anchor = strlen(shape->anchor);
	bool whole = anchor <= text.size;

	if (memcmp(text.data, shape->anchor, whole ? anchor : text.size) != 0)
		return SECRET_NONE;
	if (!whole)
		return last ? SECRET_NONE : SECRET_PART;
	return (shape->match ? shape->match : match_token)(shape, before, text, last, out_place);
}
