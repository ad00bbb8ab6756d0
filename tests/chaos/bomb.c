/* SPDX-License-Identifier: MIT */
/*
 * A service that fills the table of processes: so many as it is told, or as there is room for,
 * half of them orphans at once, each in a session of its own and deaf to SIGTERM. Bounded in
 * time, too: whatever becomes of the rest, each ends by itself.
 */
#include <err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static void end_by_itself_after(long milliseconds)
{
	struct itimerval timer = { .it_value = { milliseconds / 1000,
						 milliseconds % 1000 * 1000 } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

static _Noreturn void be_one(long number, long milliseconds)
{
	if (number % 2 && fork() > 0)
		_exit(0);
	setsid();
	end_by_itself_after(milliseconds); /* a timer is not inherited */
	for (;;)
		pause();
}

int main(int argc, char *argv[])
{
	long n = argc == 3 ? atol(argv[1]) : 0, milliseconds = argc == 3 ? atol(argv[2]) : 0;

	if (n <= 0 || n > 10000 || milliseconds <= 0)
		errx(2, "usage: test-bomb NUMBER MILLISECONDS");
	signal(SIGTERM, SIG_IGN);
	end_by_itself_after(milliseconds);
	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			be_one(i, milliseconds);
		if (pid < 0)
			break;
	}
	for (;;)
		pause();
}
