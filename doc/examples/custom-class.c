/* SPDX-License-Identifier: MIT */
/*
 * A class of process with its own run() and its own state: a summer that hands its result back
 * through a pipe, as what it changes in memory is seen by nobody else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <foster/process.h>

struct summer {
	long from, to;
	long sum; /* the parent's; the child has a copy */
	int result[2];
};

static int summer_run(foster_process *process, void *self)
{
	struct summer *s = self;

	for (long i = s->from; i <= s->to; i++)
		s->sum += i;
	return write(s->result[1], &s->sum, sizeof(s->sum)) == sizeof(s->sum) ? 0 : 1;
}

/* Called by foster_process_free() in the process that made the object. */
static void summer_release(void *self)
{
	struct summer *s = self;

	close(s->result[0]);
	close(s->result[1]);
	free(s);
}

static const foster_process_class summer_class = {
	.size = sizeof(summer_class),
	.name = "Summer",
	.run = summer_run,
	.release = summer_release,
};

static foster_process *summer_new(long from, long to, struct summer **ret_summer)
{
	struct summer *s = calloc(1, sizeof(*s));
	foster_process *process;

	if (!s || pipe(s->result) < 0) {
		free(s);
		return NULL;
	}
	s->from = from;
	s->to = to;
	process = foster_process_new_class(NULL, &summer_class, s);
	if (process)
		*ret_summer = s;
	else
		summer_release(s);
	return process;
}

int main(void)
{
	struct summer *s;
	foster_process *process = summer_new(1, 100, &s);
	int code = -1, r;
	long sum;

	if (!process)
		return 1;
	r = foster_process_start(process);
	if (r == 0)
		r = foster_process_join(process, -1);
	if (r == 0)
		r = foster_process_exitcode(process, &code);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", foster_process_name(process), strerror(-r));
		return 1;
	}
	if (code != 0 || read(s->result[0], &sum, sizeof(sum)) != sizeof(sum))
		return 1;
	printf("%s says %ld; here it is still %ld\n", foster_process_name(process), sum, s->sum);
	foster_process_free(process);
	return sum == 5050 ? 0 : 1;
}
