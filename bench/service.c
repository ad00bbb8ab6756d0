/* SPDX-License-Identifier: MIT */
/*
 * The service of the benchmark: bench-service FILE [...]. The first thing it does is to append
 * one record to FILE, so that the moment of its exec is known exactly whoever started it; then
 * it waits to be killed. Appending is atomic, and so the records need no lock.
 *
 * FILE is an argument and not in the environment: "#!bench-service FILE" is then a run script
 * for those supervisors that want one, with no shell between.
 */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

struct record { /* bench.py reads it: "=IIQ" */
	uint32_t pid, reserved;
	uint64_t nsec; /* CLOCK_MONOTONIC */
};

int main(int argc, char **argv)
{
	struct record record = { 0 };
	struct timespec now;
	int fd;

	clock_gettime(CLOCK_MONOTONIC, &now);
	record.pid = getpid();
	record.nsec = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	fd = argc > 1 ? open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
	if (fd < 0 || write(fd, &record, sizeof(record)) != sizeof(record))
		return 1;
	close(fd);
	for (;;)
		pause();
}
