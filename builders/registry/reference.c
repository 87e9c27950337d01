#include "builders/registry/reference.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdlib.h>

enum { REPOSITORY_LIMIT = 255, HOST_LIMIT = 253 + 6, TAG_LIMIT = 128 };

void reference_free(struct reference *reference)
{
	free(reference->host);
	free(reference->repository);
	free(reference->tag);
	*reference = (struct reference){0};
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool is_component(struct str part)
{
	size_t i = 0;

	while (true) {
		size_t start = i;
		while (i < part.size && is_lower_or_digit(part.data[i]))
			i++;
		if (i == start)
			return false;
		if (i == part.size)
			return true;
		char separator = part.data[i];
		size_t run = 0;
		while (i < part.size && part.data[i] == separator) {
			i++;
			run++;
		}
		if (separator != '-' && !(separator == '.' && run == 1) &&
			!(separator == '_' && run <= 2))
			return false;
	}
}

bool reference_repository_valid(struct str name)
{
	if (name.size == 0)
		return false;
	while (name.data)
		if (!is_component(str_cut(&name, '/')))
			return false;
	return true;
}

static bool is_repository(struct str name)
{
	return name.size <= REPOSITORY_LIMIT && reference_repository_valid(name);
}

bool reference_tag_valid(struct str tag)
{
	if (tag.size == 0 || tag.size > TAG_LIMIT || tag.data[0] == '.' || tag.data[0] == '-')
		return false;
	for (size_t i = 0; i < tag.size; i++) {
		unsigned char c = (unsigned char)tag.data[i];
		if (c >= 0x80 || (!isalnum(c) && c != '_' && c != '.' && c != '-'))
			return false;
	}
	return true;
}

static bool is_port(struct str port)
{
	int64_t number;

	return port.size > 0 && isdigit((unsigned char)port.data[0]) && str_to_int(port, &number) &&
	       number > 0 && number < 65536;
}

static bool is_ipv6(struct str text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!isxdigit((unsigned char)text.data[i]) && text.data[i] != ':' &&
			text.data[i] != '.')
			return false;
	return text.size > 1;
}

static bool is_host(struct str host)
{
	if (host.size == 0 || host.size > HOST_LIMIT)
		return false;
	if (host.data[0] == '[') {
		struct str rest = {host.data + 1, host.size - 1};
		struct str address = str_cut(&rest, ']');
		return rest.data && is_ipv6(address) &&
		       (rest.size == 0 ||
			       (rest.data[0] == ':' &&
				       is_port((struct str){rest.data + 1, rest.size - 1})));
	}
	struct str rest = host, name = str_cut(&rest, ':');
	if (rest.data && !is_port(rest))
		return false;
	for (size_t i = 0; i < name.size; i++) {
		unsigned char c = (unsigned char)name.data[i];
		if (c >= 0x80 || (!isalnum(c) && c != '.' && c != '-'))
			return false;
	}
	return name.size > 0 && name.data[0] != '-' && name.data[0] != '.';
}

/* A first part without a dot or colon is a repository's: Docker's rule, which users rely on. */
static bool looks_like_host(struct str part)
{
	return memchr(part.data, '.', part.size) || memchr(part.data, ':', part.size) ||
	       str_equal_text(part, "localhost");
}

static bool refuse(const char *text, const char *why, struct error *err)
{
	error_raise(err, ERROR_USAGE, "\"%s\" is no image reference: %s", text, why);
	return error_next(err,
		"write HOST/REPOSITORY:TAG, for example 127.0.0.1:5000/booking/rooms:1.4");
}

/* The API of Docker Hub has another name than its images. */
static void take_names(struct str host, struct str repository, struct reference *out)
{
	if (str_equal_text(host, "docker.io") || str_equal_text(host, "index.docker.io")) {
		out->host = memory_copy_text("registry-1.docker.io");
		out->repository = memchr(repository.data, '/', repository.size)
					  ? str_copy(repository)
					  : memory_format("library/%.*s", str_args(repository));
		return;
	}
	out->host = str_copy(host);
	out->repository = str_copy(repository);
}

bool reference_parse(const char *text, struct reference *out_reference, struct error *err)
{
	scoped(reference_free) struct reference reference = {0};
	struct str digest = str_of(text), name = str_cut(&digest, '@');

	if (digest.data) {
		if (!digest_parse(digest, &reference.digest))
			return refuse(text,
				"behind the '@' there must be sha256: and 64 hex digits", err);
		reference.has_digest = true;
	}
	struct str rest = name, host = str_cut(&rest, '/');
	if (!rest.data || host.size == 0 || !looks_like_host(host))
		return refuse(text, "it does not begin with a host", err);
	if (!is_host(host))
		return refuse(text, "its host is malformed", err);
	struct str tag = rest, repository = str_cut(&tag, ':');
	if (!is_repository(repository))
		return refuse(text,
			"its repository must be lower-case letters and digits, with '.', '_', '-' "
			"and '/' between them",
			err);
	if (tag.data && !reference_tag_valid(tag))
		return refuse(text,
			"its tag must be up to 128 letters, digits, '_', '.', '-' and may start "
			"with neither of the last two",
			err);
	take_names(host, repository, &reference);
	reference.tag = tag.data ? str_copy(tag) : NULL;
	*out_reference = reference;
	reference = (struct reference){0};
	return true;
}

char *reference_key(const struct reference *reference)
{
	char text[DIGEST_TEXT_SIZE];

	if (!reference->has_digest)
		return memory_copy_text(reference->tag ? reference->tag : "latest");
	digest_to_text(&reference->digest, text);
	return memory_copy_text(text);
}

char *reference_text(const struct reference *reference)
{
	scoped(text_free) char *key = reference_key(reference);

	return memory_format("%s/%s%c%s", reference->host, reference->repository,
		reference->has_digest ? '@' : ':', key);
}
