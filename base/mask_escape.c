#include "base/mask_escape.h"

#include <stdint.h>
#include <stdio.h>

/* Entities of XML 1.0, section 4.6, with those that programs write by number; what shells make of a
 * quote within quotes; the short escapes of RFC 8259, section 7, that are no backslash before the
 * character itself. */
static const struct {
	char c;
	const char *text;
} names[] = {
	{'&', "&amp;"},
	{'<', "&lt;"},
	{'>', "&gt;"},
	{'"', "&quot;"},
	{'"', "&#34;"},
	{'\'', "&apos;"},
	{'\'', "&#39;"},
	{'\'', "&#x27;"},
	{'\'', "'\\''"},
	{'\'', "'\"'\"'"},
	{' ', "+"},
	{'\n', "\\n"},
	{'\r', "\\r"},
	{'\t', "\\t"},
	{'\b', "\\b"},
	{'\f', "\\f"},
};

static bool is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void add(struct mask_escapes *out, struct str text, bool any_case)
{
	if (out->count == MASK_ESCAPES || text.size > MASK_ESCAPE_SIZE)
		return;
	memcpy(out->items[out->count].text, text.data, text.size);
	out->items[out->count].size = text.size;
	out->items[out->count].any_case = any_case;
	out->count++;
}

static uint32_t code_point(struct str c)
{
	static const unsigned char lead[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code = (unsigned char)c.data[0] & lead[c.size];

	for (size_t i = 1; i < c.size; i++)
		code = code << 6 | ((unsigned char)c.data[i] & 0x3f);
	return code;
}

/* Beyond U+FFFF as a surrogate pair. RFC 8259, section 7. */
static void add_json(struct mask_escapes *out, struct str c)
{
	uint32_t code = code_point(c);
	char text[MASK_ESCAPE_SIZE];
	int size = code < 0x10000 ? snprintf(text, sizeof(text), "\\u%04X", (unsigned)code)
				  : snprintf(text, sizeof(text), "\\u%04X\\u%04X",
					    (unsigned)(0xd800 + ((code - 0x10000) >> 10)),
					    (unsigned)(0xdc00 + ((code - 0x10000) & 0x3ff)));

	add(out, (struct str){text, (size_t)size}, true);
}

void mask_escapes_of(struct str text, struct mask_escapes *out)
{
	size_t known = utf8_length(text), size = known ? known : 1;
	struct str c = {text.data, size};
	char percent[MASK_ESCAPE_SIZE] = "";

	out->size = size;
	out->count = 0;
	if (!is_alnum(*c.data)) {
		for (size_t i = 0; i < size; i++)
			snprintf(percent + 3 * i, 4, "%%%02X", (unsigned char)c.data[i]);
		add(out, (struct str){percent, 3 * size}, true);
		if (known)
			add_json(out, c);
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (names[i].c == *c.data)
				add(out, str_of(names[i].text), false);
		if (size == 1 && *c.data >= ' ')
			add(out, (struct str){(char[]){'\\', *c.data}, 2}, false);
	}
	add(out, c, false);
}
