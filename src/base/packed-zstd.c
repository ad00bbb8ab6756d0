/* SPDX-License-Identifier: MIT */
/* Zstandard, by libzstd: see packed.h. */
#include "base/packed.h"

#define LIBRARY "libzstd.so.1"
#define SUFFIX  ".zst"

#ifdef HAVE_ZSTD

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fd.h"
#include "base/library.h"
#include "base/macro.h"

#define PIECE ((size_t)128 * 1024) /* of a file, at a time */

static struct {
	__typeof__(&ZSTD_isError) is_error;
	__typeof__(&ZSTD_createCCtx) new_writer;
	__typeof__(&ZSTD_CCtx_setParameter) set;
	__typeof__(&ZSTD_compressStream2) compress;
	__typeof__(&ZSTD_freeCCtx) free_writer;
	__typeof__(&ZSTD_createDCtx) new_reader;
	__typeof__(&ZSTD_decompressStream) decompress;
	__typeof__(&ZSTD_freeDCtx) free_reader;
} z;

struct stream {
	int fd; /* not owned */
	ZSTD_CCtx *writer;
	ZSTD_DCtx *reader;
	ZSTD_inBuffer in; /* of the reader: what of the piece is not read yet */
	bool in_frame;    /* the end of what was read is not the end of a frame */
	char piece[PIECE];
};

static bool find(void *library)
{
	const struct library_function functions[] = {
		LIBRARY_FUNCTION(z.is_error, ZSTD_isError),
		LIBRARY_FUNCTION(z.new_writer, ZSTD_createCCtx),
		LIBRARY_FUNCTION(z.set, ZSTD_CCtx_setParameter),
		LIBRARY_FUNCTION(z.compress, ZSTD_compressStream2),
		LIBRARY_FUNCTION(z.free_writer, ZSTD_freeCCtx),
		LIBRARY_FUNCTION(z.new_reader, ZSTD_createDCtx),
		LIBRARY_FUNCTION(z.decompress, ZSTD_decompressStream),
		LIBRARY_FUNCTION(z.free_reader, ZSTD_freeDCtx),
	};

	return library_find(library, functions, ELEMENTSOF(functions));
}

static void free_stream(struct stream *s)
{
	if (s->writer)
		z.free_writer(s->writer);
	if (s->reader)
		z.free_reader(s->reader);
	free(s);
}

static void *open_zstd(int fd, bool write, int *ret_error)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->fd = fd;
	s->in.src = s->piece;
	s->in_frame = true; /* a file without any frame is none */
	if (write)
		s->writer = z.new_writer();
	else
		s->reader = z.new_reader();
	/* As gzip's do: what was damaged on the disk is noticed. */
	if (s->reader || (s->writer && !z.is_error(z.set(s->writer, ZSTD_c_checksumFlag, 1))))
		return s;
	free_stream(s);
	return NULL;
}

/* The next piece of the file. Its size, 0 at the end, or -errno. */
static ssize_t next_piece(struct stream *s)
{
	ssize_t n;

	do
		n = read(s->fd, s->piece, sizeof(s->piece));
	while (n < 0 && errno == EINTR);
	s->in.pos = 0;
	s->in.size = n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : n;
}

static ssize_t read_zstd(void *handle, char *data, size_t size)
{
	struct stream *s = handle;
	ZSTD_outBuffer out = { .dst = data, .size = size };

	while (out.pos == 0) {
		size_t left;
		ssize_t n = s->in.pos < s->in.size ? 1 : next_piece(s);

		if (n <= 0 && (n < 0 || !s->in_frame))
			return n;
		/* At the end of the file something may still be kept back. */
		left = z.decompress(s->reader, &out, &s->in);
		if (z.is_error(left) || (n == 0 && out.pos == 0))
			return -EBADMSG;
		s->in_frame = left > 0;
	}
	return (ssize_t)out.pos;
}

static int write_piece(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		data += MAX(n, (ssize_t)0);
		size -= (size_t)MAX(n, (ssize_t)0);
	}
	return 0;
}

static int compress_some(struct stream *s, const char *data, size_t size, ZSTD_EndDirective end)
{
	ZSTD_inBuffer in = { .src = data, .size = size };
	size_t left;
	int error;

	do {
		ZSTD_outBuffer out = { .dst = s->piece, .size = sizeof(s->piece) };

		left = z.compress(s->writer, &out, &in, end);
		if (z.is_error(left))
			return -EIO;
		error = write_piece(s->fd, s->piece, out.pos);
	} while (error == 0 && (end == ZSTD_e_end ? left > 0 : in.pos < in.size));
	return error;
}

static int write_zstd(void *handle, const char *data, size_t size)
{
	return compress_some(handle, data, size, ZSTD_e_continue);
}

static int close_zstd(void *handle)
{
	struct stream *s = handle;
	int error = s->writer ? compress_some(s, NULL, 0, ZSTD_e_end) : 0;

	free_stream(s);
	return error;
}

const struct packed_kind packed_zstd = {
	.suffix = SUFFIX,
	.library = LIBRARY,
	.find = find,
	.open = open_zstd,
	.read = read_zstd,
	.write = write_zstd,
	.close = close_zstd,
};

#else /* the names of such files are known all the same */

const struct packed_kind packed_zstd = { .suffix = SUFFIX, .library = LIBRARY };

#endif
