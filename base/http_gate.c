#include "base/http_gate.h"

#include <string.h>

enum { HEADER_LIMIT = 256, LENGTH_DIGITS_LIMIT = 18 };

/* RFC 9110 section 5.6.2: what a method or a header's name may consist of. */
static bool is_token(struct str text)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];
		bool alphanumeric =
			(c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');

		if (!alphanumeric && (!c || !strchr(others, c)))
			return false;
	}
	return text.size > 0;
}

/* No control characters; tab is one that is allowed. */
static bool is_field_value(struct str text)
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool is_digits(struct str text)
{
	for (size_t i = 0; i < text.size; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.size > 0;
}

/* Visible ASCII, and none of the characters in not. */
static bool is_visible_without(struct str text, const char * not )
{
	for (size_t i = 0; i < text.size; i++) {
		unsigned char c = (unsigned char)text.data[i];

		if (c <= 0x20 || c >= 0x7f || strchr(not, c))
			return false;
	}
	return true;
}

/* RFC 9112 section 3.2: origin-form, absolute-form or "*"; the authority-form is for proxies. */
static const char *check_target(struct str method, struct str target)
{
	if (!is_visible_without(target, "#"))
		return "the target holds a character that no target may hold";
	if (str_equal_text(target, "*"))
		return str_equal_text(method, "OPTIONS") ? NULL
							 : "the target \"*\" is for OPTIONS alone";
	if (str_starts_with(target, "/"))
		return NULL;
	for (const char *const *scheme = (const char *const[]){"http://", "https://", NULL};
		*scheme; scheme++) {
		struct str rest = target;

		if (!str_starts_with(target, *scheme))
			continue;
		rest.data += strlen(*scheme);
		rest.size -= strlen(*scheme);
		if (rest.size > 0 && !strchr("/?@", rest.data[0]))
			return NULL;
	}
	return "the target is neither a path nor an http URL";
}

struct seen {
	unsigned hosts, lengths, encodings;
};

static const char *check_header(const struct http_gate_header *header, struct seen *seen)
{
	if (!is_token(header->name))
		return "a header's name holds white space or another character that no name may "
		       "hold";
	if (!is_field_value(header->value))
		return "a header's value holds a control character";
	if (str_equal_ignoring_case(header->name, str_literal("Content-Length"))) {
		seen->lengths++;
		if (!is_digits(header->value) || header->value.size > LENGTH_DIGITS_LIMIT)
			return "Content-Length is not a number of bytes";
	} else if (str_equal_ignoring_case(header->name, str_literal("Transfer-Encoding"))) {
		seen->encodings++;
		if (!str_equal_ignoring_case(header->value, str_literal("chunked")))
			return "Transfer-Encoding is not \"chunked\"";
	} else if (str_equal_ignoring_case(header->name, str_literal("Host"))) {
		seen->hosts++;
		if (!is_visible_without(header->value, ",/?#@\\"))
			return "Host is not the name of a host";
	}
	return NULL;
}

const char *http_gate_check(struct str method, struct str target, struct str version,
	const struct http_gate_header *headers, size_t count)
{
	bool is_old = str_equal_text(version, "HTTP/1.0");
	struct seen seen = {0};
	const char *why;

	if (!is_token(method))
		return "the method holds a character that no method may hold";
	if (!is_old && !str_equal_text(version, "HTTP/1.1"))
		return "the version is neither HTTP/1.1 nor HTTP/1.0";
	if ((why = check_target(method, target)) != NULL)
		return why;
	for (size_t i = 0; i < count; i++)
		if ((why = check_header(&headers[i], &seen)) != NULL)
			return why;
	if (seen.lengths > 1)
		return "there are two Content-Length headers";
	if (seen.encodings > 1)
		return "there are two Transfer-Encoding headers";
	if (seen.lengths && seen.encodings)
		return "there are both Content-Length and Transfer-Encoding";
	/* RFC 9112 section 6.1: an old client cannot mean it, whoever added it framed it differently. */
	if (seen.encodings && is_old)
		return "HTTP/1.0 has no Transfer-Encoding";
	if (seen.hosts > 1)
		return "there are two Host headers";
	if (!seen.hosts && !is_old)
		return "there is no Host header";
	return NULL;
}

/* Cuts one line off, which must end with CR LF and hold neither of them nor NUL inside. */
static bool cut_line(struct str *rest, struct str *out_line)
{
	const char *end = memmem(rest->data, rest->size, "\r\n", 2);

	if (!end)
		return false;
	*out_line = (struct str){rest->data, (size_t)(end - rest->data)};
	rest->data = end + 2;
	rest->size -= out_line->size + 2;
	return !memchr(out_line->data, '\r', out_line->size) &&
	       !memchr(out_line->data, '\n', out_line->size) &&
	       !memchr(out_line->data, 0, out_line->size);
}

const char *http_gate_check_raw(struct str head)
{
	struct http_gate_header headers[HEADER_LIMIT];
	struct str line, method, target, version;
	size_t count = 0;

	if (!head.size || !cut_line(&head, &version))
		return "the request line does not end with CR LF, or holds one of them or NUL";
	method = str_cut(&version, ' ');
	target = str_cut(&version, ' ');
	for (;;) {
		if (!cut_line(&head, &line))
			return "a header line does not end with CR LF, or holds one of them or NUL";
		if (!line.size)
			break;
		if (line.data[0] == ' ' || line.data[0] == '\t')
			return "a header line is folded";
		if (!memchr(line.data, ':', line.size))
			return "a header line has no colon";
		if (count == HEADER_LIMIT)
			return "there are too many header lines";
		headers[count].name = str_cut(&line, ':');
		headers[count++].value = str_trim(line);
	}
	if (head.size)
		return "something follows the empty line";
	return http_gate_check(method, target, version, headers, count);
}
