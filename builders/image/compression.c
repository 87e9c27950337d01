#include "builders/image/compression.h"

#include "base/buf.h"

#include <libdeflate.h>
#include <stdio.h>
#include <zstd.h>

enum {
	FIRST_SIZE = 512 << 10,
	FIRST_BLOCKS = 2,
	GZIP_LEVEL = 6,
};
#define BLOCKS "blocks of 1048576 after 2 of 524288"

struct zstd_setting {
	ZSTD_cParameter parameter;
	int value;
};

/*
 * Level 1 with shorter matches. Compressing is most of what building and pushing plain files costs.
 * 48 MB of shared libraries on one processor, ns a byte and size:
 *
 *     level 3, blocks of 256 KiB                     3.7    37.0 %
 *     level 2, blocks of 1 MiB, and all below        2.1    37.8 %
 *     matches of 5 and more, hash table of 64 KiB    2.0    37.9 %
 *     matches of 6 and more (this)                   1.8    38.8 %
 *     level 1: of 7 and more                         1.7    39.8 %
 *     level 1, blocks of 256 KiB                     2.0    39.6 %
 *
 * All are given, so that neither the size of a block nor the library's tables choose. The fast
 * strategy writes the same bytes on every processor.
 */
static const struct zstd_setting zstd_settings[] = {
	{ZSTD_c_compressionLevel, 1},
	{ZSTD_c_strategy, ZSTD_fast},
	{ZSTD_c_minMatch, 6},
	{ZSTD_c_hashLog, 14},
	{ZSTD_c_windowLog, 20},
	{ZSTD_c_checksumFlag, 1},
};

struct compression_row {
	const char *name, *media_type;
};

static const struct compression_row compressions[] = {
	[COMPRESSION_ZSTD] = {"zstd", "application/vnd.oci.image.layer.v1.tar+zstd"},
	[COMPRESSION_GZIP] = {"gzip", "application/vnd.oci.image.layer.v1.tar+gzip"},
	[COMPRESSION_NONE] = {"none", "application/vnd.oci.image.layer.v1.tar"},
};

bool compression_of_name(const char *name, enum compression *out_compression)
{
	for (size_t i = 0; i < countof(compressions); i++) {
		if (text_equal(compressions[i].name, name)) {
			*out_compression = (enum compression)i;
			return true;
		}
	}
	return false;
}

const char *compression_name(enum compression compression)
{
	return compressions[compression].name;
}

const char *compression_media_type(enum compression compression)
{
	return compressions[compression].media_type;
}

const char *compression_identity(enum compression compression)
{
	static char zstd[96];

	switch (compression) {
	case COMPRESSION_ZSTD:
		snprintf(zstd, sizeof(zstd), "zstd %s level 1, " BLOCKS ", matches from 6",
			ZSTD_versionString());
		return zstd;
	case COMPRESSION_GZIP:
		return "libdeflate " LIBDEFLATE_VERSION_STRING " level 6, " BLOCKS;
	case COMPRESSION_NONE:
		break;
	}
	return "none";
}

size_t compression_block_size(size_t number)
{
	return number < FIRST_BLOCKS ? FIRST_SIZE : COMPRESSION_BLOCK_LIMIT;
}

void compressor_free(struct compressor *compressor)
{
	/* Freeing nothing would load the library first (cmake/lazy.cmake). */
	if (compressor->zstd)
		ZSTD_freeCCtx(compressor->zstd);
	if (compressor->deflate)
		libdeflate_free_compressor(compressor->deflate);
	*compressor = (struct compressor){0};
}

static bool open_zstd(struct compressor *compressor)
{
	if (compressor->zstd)
		return true;
	compressor->zstd = ZSTD_createCCtx();
	if (!compressor->zstd)
		return false;
	for (size_t i = 0; i < countof(zstd_settings); i++)
		ZSTD_CCtx_setParameter(compressor->zstd, zstd_settings[i].parameter,
			zstd_settings[i].value);
	return true;
}

/* libdeflate writes a gzip header without a time. */
static bool open_gzip(struct compressor *compressor)
{
	if (!compressor->deflate)
		compressor->deflate = libdeflate_alloc_compressor(GZIP_LEVEL);
	return compressor->deflate;
}

void compressor_warm(struct compressor *compressor, enum compression compression)
{
	if (compression == COMPRESSION_ZSTD)
		(void)open_zstd(compressor);
}

size_t compressor_run(struct compressor *compressor, enum compression compression,
	const void *bytes, size_t size, void *out, size_t room)
{
	if (compression == COMPRESSION_GZIP)
		return open_gzip(compressor) ? libdeflate_gzip_compress(compressor->deflate, bytes,
						       size, out, room)
					     : 0;
	if (!open_zstd(compressor))
		return 0;
	size_t made = ZSTD_compress2(compressor->zstd, out, room, bytes, size);
	return ZSTD_isError(made) ? 0 : made;
}
