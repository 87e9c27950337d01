#include "tests/test.h"

#include "base/memory.h"
#include "builders/image/tar.h"

static struct buf header_of(struct tar_header header)
{
	struct buf out = {0};

	tar_append_header(&out, &header);
	return out;
}

/* Offsets of POSIX.1-2017, pax, "ustar Interchange Format". */
enum {
	AT_MODE = 100,
	AT_UID = 108,
	AT_SIZE = 124,
	AT_MTIME = 136,
	AT_SUM = 148,
	AT_TYPE = 156,
	AT_LINK = 157,
	AT_MAGIC = 257,
	AT_UNAME = 265,
	AT_PREFIX = 345
};

TEST(a_short_entry_is_one_plain_ustar_block)
{
	scoped(buf_free) struct buf out = header_of((struct tar_header){.path = "app/rooms",
		.kind = TAR_FILE,
		.mode = 0755,
		.size_bytes = 1000,
		.modified_s = 7});

	REQUIRE(out.size == 512);
	CHECK_TEXT(out.data, "app/rooms");
	CHECK_TEXT(out.data + AT_MODE, "0000755");
	CHECK_TEXT(out.data + AT_UID, "0000000");
	CHECK_TEXT(out.data + AT_SIZE, "00000001750"); /* 1000 = 01750 */
	CHECK_TEXT(out.data + AT_MTIME, "00000000007");
	CHECK(out.data[AT_TYPE] == '0');
	CHECK(memcmp(out.data + AT_MAGIC, "ustar\00000", 8) == 0);
	CHECK_TEXT(out.data + AT_UNAME, "");
	CHECK_TEXT(out.data + AT_PREFIX, "");

	unsigned sum = 0;
	for (int i = 0; i < 512; i++)
		sum += i >= AT_SUM && i < AT_SUM + 8 ? ' ' : (unsigned char)out.data[i];
	char expected[8];
	snprintf(expected, sizeof(expected), "%06o", sum);
	CHECK_TEXT(out.data + AT_SUM, expected);
	CHECK(out.data[AT_SUM + 7] == ' ');
}

TEST(folders_end_in_a_slash_and_links_have_no_size)
{
	scoped(buf_free) struct buf folder =
		header_of((struct tar_header){.path = "tmp", .kind = TAR_FOLDER, .mode = 01777});
	scoped(buf_free) struct buf link = header_of((struct tar_header){.path = "lib",
		.kind = TAR_LINK,
		.mode = 0777,
		.size_bytes = 9,
		.target = "usr/lib"});

	CHECK_TEXT(folder.data, "tmp/");
	CHECK_TEXT(folder.data + AT_MODE, "0001777");
	CHECK_TEXT(link.data + AT_LINK, "usr/lib");
	CHECK_TEXT(link.data + AT_SIZE, "00000000000");
}

TEST(a_path_over_100_bytes_is_split_at_a_slash)
{
	char path[200];

	memset(path, 'a', sizeof(path));
	path[90] = '/';
	path[180] = 0;
	scoped(buf_free) struct buf out =
		header_of((struct tar_header){.path = path, .kind = TAR_FILE});
	REQUIRE(out.size == 512);
	CHECK_INT(strnlen(out.data, 100), 89);
	CHECK_INT(strlen(out.data + AT_PREFIX), 90);
}

TEST(a_name_of_exactly_100_bytes_fits_without_a_nul)
{
	char path[101];

	memset(path, 'n', 100);
	path[100] = 0;
	scoped(buf_free) struct buf out =
		header_of((struct tar_header){.path = path, .kind = TAR_FILE});
	CHECK_INT(out.size, 512);
	CHECK(memcmp(out.data, path, 100) == 0);
	CHECK_TEXT(out.data + AT_MODE, "0000000");
}

TEST(what_ustar_cannot_say_gets_a_pax_record_that_counts_itself)
{
	char path[130];

	memset(path, 'b', sizeof(path));
	path[120] = 0;
	scoped(buf_free) struct buf out =
		header_of((struct tar_header){.path = path, .kind = TAR_FILE});
	/* pax header, its record block, the entry */
	REQUIRE(out.size == 3 * 512);
	CHECK(out.data[AT_TYPE] == 'x');
	CHECK_TEXT(out.data + AT_SIZE, "00000000202"); /* 130 = "130 path=" + 120 + "\n" */
	CHECK(memcmp(out.data + 512, "130 path=bbb", 12) == 0);
	CHECK(out.data[512 + 129] == '\n' && out.data[512 + 130] == 0);
	CHECK(out.data[2 * 512 + AT_TYPE] == '0');
}

TEST(names_that_are_not_ascii_are_said_in_utf8_whatever_the_locale)
{
	scoped(buf_free) struct buf out =
		header_of((struct tar_header){.path = "gr\xc3\xbc\xc3\x9f", .kind = TAR_FILE});

	REQUIRE(out.size == 3 * 512);
	/* "16 path=" is 8, the name 6 bytes, the newline 1: 15, so "15 path=…" */
	CHECK(memcmp(out.data + 512, "15 path=gr\xc3\xbc\xc3\x9f\n", 15) == 0);
}

TEST(sizes_from_8_gib_are_records)
{
	scoped(buf_free) struct buf small = header_of((struct tar_header){.path = "a",
		.kind = TAR_FILE,
		.size_bytes = ((int64_t)8 << 30) - 1});
	scoped(buf_free) struct buf large = header_of(
		(struct tar_header){.path = "a", .kind = TAR_FILE, .size_bytes = (int64_t)8 << 30});

	CHECK_INT(small.size, 512);
	CHECK_TEXT(small.data + AT_SIZE, "77777777777");
	REQUIRE(large.size == 3 * 512);
	CHECK(memcmp(large.data + 512, "19 size=8589934592\n", 19) == 0);
}

TEST(owners_hard_links_and_capabilities_are_said_as_readers_expect)
{
	/* VFS_CAP_REVISION_2 with the effective bit and cap_net_bind_service, capability.h. */
	static const char capability[20] = {1, 0, 0, 2, 0, 4};
	scoped(buf_free) struct buf file = header_of((struct tar_header){.path = "bin/ping",
		.kind = TAR_FILE,
		.user = 2097151,  /* 07777777: the last that ustar can say */
		.group = 2097152, /* one more */
		.capability = {capability, sizeof(capability)}});
	scoped(buf_free) struct buf link = header_of((struct tar_header){.path = "bin/ping6",
		.kind = TAR_HARD_LINK,
		.target = "bin/ping",
		.size_bytes = 1000});

	REQUIRE(file.size == 3 * 512);
	CHECK(file.data[AT_TYPE] == 'x');
	/* "15 gid=2097152\n" and 2 digits, space, 32 of key, '=', 20 of value, newline: 57. */
	CHECK_TEXT(file.data + AT_SIZE, "00000000110"); /* 15 + 57 = 72 = 0110 */
	CHECK(memcmp(file.data + 512, "15 gid=2097152\n57 SCHILY.xattr.security.capability=", 51) ==
		0);
	CHECK(memcmp(file.data + 512 + 51, capability, sizeof(capability)) == 0);
	CHECK(file.data[512 + 71] == '\n');
	CHECK_TEXT(file.data + 1024 + AT_UID, "7777777");
	CHECK_TEXT(file.data + 1024 + AT_UID + 8, "0000000");
	REQUIRE(link.size == 512);
	CHECK(link.data[AT_TYPE] == '1');
	CHECK_TEXT(link.data + AT_LINK, "bin/ping");
	CHECK_TEXT(link.data + AT_SIZE, "00000000000");
}

TEST(content_is_padded_to_blocks)
{
	CHECK_INT(tar_padding(0), 0);
	CHECK_INT(tar_padding(1), 511);
	CHECK_INT(tar_padding(512), 0);
	CHECK_INT(tar_padding(513), 511);
}

TEST_MAIN()
