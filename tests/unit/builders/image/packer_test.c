#include "tests/test.h"

#include "base/file.h"
#include "base/memory.h"
#include "builders/image/packer.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

/* Bytes that compress somewhat and never repeat in the same way. */
static char *make_bytes(size_t size)
{
	char *bytes = memory_new(size);
	uint32_t state = 1;

	for (size_t i = 0; i < size; i++) {
		state = state * 1103515245 + 12345;
		bytes[i] = (char)("abcdefgh"[state >> 29]);
	}
	return bytes;
}

/* Packs in pieces; out is the blob. */
static bool pack(enum compression compression, const char *bytes, size_t size, size_t piece,
	bool peek, struct packed *out_packed, struct buf *out)
{
	scoped(descriptor_close) int fd = memfd_create("blob", MFD_CLOEXEC);
	scoped(packer_free) struct packer *packer = packer_new(compression);
	struct error err = {0};
	bool ok = true;

	packer_begin(packer, fd, "blob");
	for (size_t at = 0; ok && at < size; at += piece)
		ok = packer_add(packer, bytes + at, size - at < piece ? size - at : piece, &err);
	struct digest peeked, plain = digest_of(bytes, size);
	if (ok && peek && packer_peek(packer, &peeked))
		CHECK(digest_equal(&peeked, &plain));
	ok = ok && packer_finish(packer, out_packed, &err);
	if (!ok) {
		error_free(&err);
		return false;
	}
	CHECK(digest_equal(&out_packed->diff_id, &plain));
	CHECK_INT(out_packed->diff_bytes, size);
	size_t room = (size_t)out_packed->size_bytes;
	ok = pread(fd, buf_reserve(out, room), room, 0) == (ssize_t)room;
	out->size += room;
	struct digest real = digest_of(out->data, out->size);
	CHECK(digest_equal(&real, &out_packed->digest));
	return ok;
}

TEST(zstd_output_decompresses_to_the_input)
{
	size_t size = 4800000; /* six blocks, the last one not full */
	scoped(text_free) char *bytes = make_bytes(size);
	scoped(buf_free) struct buf blob = {0};
	struct packed packed;

	REQUIRE(pack(COMPRESSION_ZSTD, bytes, size, size, false, &packed, &blob));
	scoped(text_free) char *plain = memory_new(size);
	/* ZSTD_decompress() reads any number of frames. */
	CHECK_INT(ZSTD_decompress(plain, size, blob.data, blob.size), size);
	CHECK(memcmp(plain, bytes, size) == 0);
	CHECK(packed.size_bytes < packed.diff_bytes);
}

/* compression.h: two blocks of 512 KiB, then such of 1 MiB, each a frame of its own that says how much
 * it holds and has a checksum. */
TEST(zstd_output_is_a_frame_for_each_block)
{
	static const unsigned long long sizes[] = {512 << 10, 512 << 10, 1 << 20, 1 << 20, 7};
	scoped(text_free) char *bytes = make_bytes((3 << 20) + 7);
	scoped(buf_free) struct buf blob = {0};
	struct packed packed;
	size_t at = 0;

	REQUIRE(pack(COMPRESSION_ZSTD, bytes, (3 << 20) + 7, 100000, false, &packed, &blob));
	for (size_t i = 0; i < countof(sizes); i++) {
		size_t size = ZSTD_findFrameCompressedSize(blob.data + at, blob.size - at);

		REQUIRE(!ZSTD_isError(size));
		CHECK_INT(ZSTD_getFrameContentSize(blob.data + at, size), sizes[i]);
		/* RFC 8878, 3.1.1.1.1: bit 2 of the byte behind the magic number */
		CHECK(blob.data[at + 4] & 4);
		at += size;
	}
	CHECK_INT(at, blob.size);
}

TEST(gzip_output_is_members_without_a_time)
{
	size_t size = 1200000; /* three blocks */
	scoped(text_free) char *bytes = make_bytes(size);
	scoped(buf_free) struct buf blob = {0};
	struct packed packed;

	REQUIRE(pack(COMPRESSION_GZIP, bytes, size, 4096, false, &packed, &blob));
	/* RFC 1952: MTIME is bytes 4 to 7 */
	CHECK(memcmp(blob.data, "\x1f\x8b\x08\0\0\0\0\0", 8) == 0);
	struct libdeflate_decompressor *reader = libdeflate_alloc_decompressor();
	scoped(text_free) char *plain = memory_new(size);
	size_t in = 0, out = 0, used, made;
	while (in < blob.size &&
		libdeflate_gzip_decompress_ex(reader, blob.data + in, blob.size - in, plain + out,
			size - out, &used, &made) == LIBDEFLATE_SUCCESS) {
		in += used;
		out += made;
	}
	libdeflate_free_decompressor(reader);
	CHECK_INT(out, size);
	CHECK(memcmp(plain, bytes, size) == 0);
}

TEST(uncompressed_output_is_the_input_and_hashed_once)
{
	scoped(text_free) char *bytes = make_bytes(600000);
	scoped(buf_free) struct buf blob = {0};
	struct packed packed;

	REQUIRE(pack(COMPRESSION_NONE, bytes, 600000, 1000, true, &packed, &blob));
	CHECK(digest_equal(&packed.digest, &packed.diff_id));
	CHECK_INT(blob.size, 600000);
	CHECK(memcmp(blob.data, bytes, blob.size) == 0);
}

TEST(output_depends_neither_on_pieces_nor_on_peeking)
{
	static const size_t sizes[] = {0, 1, (512 << 10) - 1, 512 << 10, (512 << 10) + 1,
		(1 << 20) + 1, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 4300000};

	for (size_t i = 0; i < countof(sizes); i++) {
		scoped(text_free) char *bytes = make_bytes(sizes[i] + 1);
		scoped(buf_free) struct buf one = {0}, two = {0};
		struct packed a, b;

		REQUIRE(pack(COMPRESSION_ZSTD, bytes, sizes[i], sizes[i] + 1, false, &a, &one));
		REQUIRE(pack(COMPRESSION_ZSTD, bytes, sizes[i], 9999, true, &b, &two));
		CHECK(digest_equal(&a.digest, &b.digest));
		CHECK(one.size == two.size);
	}
}

TEST(output_does_not_depend_on_the_number_of_processors)
{
	scoped(text_free) char *bytes = make_bytes(5000000);
	scoped(buf_free) struct buf many = {0}, one = {0};
	struct packed a, b;
	cpu_set_t all, single;

	REQUIRE(pack(COMPRESSION_ZSTD, bytes, 5000000, 65536, false, &a, &many));
	REQUIRE(sched_getaffinity(0, sizeof(all), &all) == 0);
	CPU_ZERO(&single);
	for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&single) == 0; i++)
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &single);
	REQUIRE(sched_setaffinity(0, sizeof(single), &single) == 0);
	CHECK(pack(COMPRESSION_ZSTD, bytes, 5000000, 65536, false, &b, &one));
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
	CHECK(digest_equal(&a.digest, &b.digest));
}

TEST(a_packer_begins_again_after_a_blob_that_was_left)
{
	scoped(text_free) char *bytes = make_bytes(5100000);
	scoped(descriptor_close) int fd = memfd_create("blob", MFD_CLOEXEC);
	scoped(packer_free) struct packer *packer = packer_new(COMPRESSION_ZSTD);
	scoped(buf_free) struct buf blob = {0};
	struct packed expected, packed;
	struct error err = {0};

	REQUIRE(pack(COMPRESSION_ZSTD, bytes, 5100000, 5100000, false, &expected, &blob));
	for (size_t size = 0; size <= 5100000; size += 1020000) {
		packer_begin(packer, fd, "left");
		REQUIRE_OK(packer_add(packer, bytes + 1, size ? size - 1 : 0, &err));
		packer_begin(packer, fd, "finished");
		REQUIRE_OK(packer_add(packer, bytes, 5100000, &err));
		REQUIRE_OK(packer_finish(packer, &packed, &err));
		CHECK(digest_equal(&packed.digest, &expected.digest));
	}
}

/* What was warmed compresses before it can hash, and hashes all of it in the end. */
TEST(a_packer_that_was_warmed_makes_the_same)
{
	static const size_t sizes[] = {0, 1000, 1200000, 6000000};
	scoped(text_free) char *bytes = make_bytes(6000000);
	scoped(descriptor_close) int fd = memfd_create("blob", MFD_CLOEXEC);
	struct error err = {0};

	for (size_t i = 0; i < countof(sizes); i++) {
		scoped(packer_free) struct packer *packer = packer_new(COMPRESSION_ZSTD);
		scoped(buf_free) struct buf blob = {0};
		struct packed expected, packed;
		struct digest peeked;

		REQUIRE(pack(COMPRESSION_ZSTD, bytes, sizes[i], 70000, false, &expected, &blob));
		packer_warm(packer);
		for (int peek = 0; peek < 2; peek++) {
			packer_begin(packer, fd, "warm");
			REQUIRE_OK(packer_add(packer, bytes, sizes[i], &err));
			CHECK_INT(peek && packer_peek(packer, &peeked), peek && i < 3);
			REQUIRE_OK(packer_finish(packer, &packed, &err));
			CHECK(digest_equal(&packed.digest, &expected.digest));
			CHECK(digest_equal(&packed.diff_id, &expected.diff_id));
		}
	}
}

TEST(a_full_disk_is_an_error_that_names_the_blob)
{
	scoped(text_free) char *bytes = make_bytes(6000000);
	scoped(descriptor_close) int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	scoped(packer_free) struct packer *packer = packer_new(COMPRESSION_ZSTD);
	struct packed packed;
	struct error err = {0};

	REQUIRE(fd >= 0);
	packer_begin(packer, fd, "layer.blob");
	bool ok = packer_add(packer, bytes, 6000000, &err) && packer_finish(packer, &packed, &err);
	CHECK(!ok);
	CHECK_INT(err.system_errno, ENOSPC);
	CHECK_CONTAINS(err.message, "layer.blob");
	error_free(&err);
}

TEST_MAIN()
