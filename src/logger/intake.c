/* SPDX-License-Identifier: MIT */
/*
 * Looking into pipes: see intake.h. Why nothing is lost:
 *
 * tee(2) puts references to what a service's pipe holds into a pipe of our own, which alone is
 * read; the service's pipe keeps everything. Only after the write(2) to the file has returned is
 * the same number of bytes read from the service's pipe, to nowhere. A signal, SIGKILL
 * included, ends a process between system calls or in an interruptible wait; a read of what a pipe
 * holds does not wait. So, killed
 *
 *	before the write	the bytes are in the pipe, and nowhere else: nothing happened
 *	within it, or after	they are in the file as far as the write came, and in the pipe
 *	after the read		they are in the file alone
 *
 * Which of it was the case is written down in memory that outlives this process: intent.h. The
 * next logger cuts off what the pipe brings once more, or takes it out, and goes on where this one
 * was.
 *
 * The pipe lives as long as fosterd or the service does, and nobody but the logger reads from it.
 * One that is full cannot be looked into further than it goes, so there is nothing that could be
 * read ahead and forgotten. (Splicing from the pipe to the file itself would need no such memory;
 * but it does not work with a file that is open for appending, nor with a time in front of each
 * line.)
 *
 * What is not taken out until it is written keeps its place. A writer that fills the usual 64 KiB
 * would wait for each write to the file, where a plain read(2) lets it go on at once: measured,
 * that halves the throughput. A busy pipe is therefore made larger, to twice the bytes of a look;
 * then nothing is lost in speed, either.
 *
 * For the same reason there is no memory of ours in which output could wait for a full disk: it
 * would be lost with this process. A pipe is that memory, and one that outlives it: with
 * log-buffer it is as large as somebody wants it.
 */
#include "logger/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"

#define WIDE (2 * (int)INTAKE_MAX)
#define NEW  ((size_t)64 * 1024) /* see pipe(7) */
#define AWAY ((size_t)4096)

static int inlet = -1, outlet = -1; /* of our own pipe, which is empty between two looks */
static char buffer[INTAKE_MAX];

int intake_init(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	outlet = ends[0];
	inlet = ends[1];
	/* Refused to an ordinary user with many pipes: the looks are smaller then. */
	fcntl(inlet, F_SETPIPE_SZ, (int)INTAKE_MAX);
	return 0;
}

/* All that was teed, lest the next look begins with the rest of this one. */
static ssize_t read_own(size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t n = read(outlet, buffer + got, size - got);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO;
		got += MAX(n, (ssize_t)0);
	}
	return (ssize_t)got;
}

ssize_t intake_look(int pipe, size_t max, const char **ret_data)
{
	ssize_t n;

	do
		n = tee(pipe, inlet, MIN(max, INTAKE_MAX), SPLICE_F_NONBLOCK);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	*ret_data = buffer;
	return read_own(n);
}

void intake_take(int pipe, size_t size, unsigned char *last)
{
	static char away[AWAY]; /* small, so that it stays in the processor's cache */
	struct iovec to[INTAKE_MAX / AWAY + 2];

	while (size > 0) {
		size_t left = MIN(size, INTAKE_MAX) - 1;
		int n_to = 0;
		ssize_t n;

		for (; left > 0; left -= to[n_to++].iov_len)
			to[n_to] = (struct iovec){ away, MIN(left, sizeof(away)) };
		to[n_to++] = (struct iovec){ last, 1 };
		n = readv(pipe, to, n_to);
		if (n == 0 || (n < 0 && errno != EINTR))
			return; /* nobody else reads from it: it is all there */
		size -= MAX(n, (ssize_t)0);
	}
}

void intake_discard(int pipe, size_t size)
{
	unsigned char last;

	intake_take(pipe, size, &last);
}

void intake_widen(int pipe)
{
	if (fcntl(pipe, F_GETPIPE_SZ) < WIDE)
		fcntl(pipe, F_SETPIPE_SZ, WIDE);
}

int intake_resize(int pipe, size_t size)
{
	return fcntl(pipe, F_SETPIPE_SZ, (int)(size ? size : NEW)) < 0 ? -errno : 0;
}

size_t intake_held(int pipe)
{
	int n;

	return ioctl(pipe, FIONREAD, &n) < 0 ? 0 : (size_t)n;
}

size_t intake_capacity(int pipe)
{
	int n = fcntl(pipe, F_GETPIPE_SZ);

	return n < 0 ? 4096 : (size_t)n;
}
