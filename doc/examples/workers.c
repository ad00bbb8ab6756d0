/* SPDX-License-Identifier: MIT */
/* Two workers at once, a ticker that ends with the program, and a program that is executed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <foster/process.h>

static int work(void *arg)
{
	const char *job = arg;

	printf("%s does %s\n", foster_process_name(foster_current_process()), job);
	return (int)strlen(job);
}

static int tick(void *arg)
{
	while (sleep(1) == 0)
		;
	return 0;
}

static int fail(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-err));
	return 1;
}

int main(void)
{
	static char digging[] = "digging", weeding[] = "weeding";
	char *const ls[] = { (char *)"ls", (char *)"-d", (char *)"/", NULL };
	foster_process *all[] = {
		foster_process_new("first", work, digging),
		foster_process_new(NULL, work, weeding),
		foster_process_new_exec("list", ls),
		foster_process_new("ticker", tick, NULL),
	};
	const int n = sizeof(all) / sizeof(all[0]);

	for (int i = 0; i < n; i++) {
		int r = all[i] ? 0 : -1;

		/* Before the start: later it is refused. */
		if (r == 0 && i == n - 1)
			r = foster_process_set_daemon(all[i], true);
		if (r == 0)
			r = foster_process_start(all[i]);
		if (r < 0)
			return fail("start", r);
	}
	for (int i = 0; i < n - 1; i++) {
		int code, r = foster_process_join(all[i], 10000);

		if (r == 0)
			r = foster_process_exitcode(all[i], &code);
		if (r < 0)
			return fail(foster_process_name(all[i]), r);
		printf("%s ended with %d\n", foster_process_name(all[i]), code);
		foster_process_free(all[i]);
	}
	/* The ticker is daemonic: this return terminates and joins it. */
	return 0;
}
