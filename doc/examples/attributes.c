/* SPDX-License-Identifier: MIT */
/* The attributes of a process object: before the start, while it runs, after its end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <foster/process.h>

static int wait_for_signal(void *arg)
{
	pause();
	return 0;
}

static void show(const char *when, foster_process *process)
{
	printf("%s: name %s, pid %d, alive %s, daemon %s\n", when, foster_process_name(process),
	       (int)foster_process_pid(process), foster_process_is_alive(process) ? "yes" : "no",
	       foster_process_daemon(process) ? "yes" : "no");
}

static void say(const char *what, int err)
{
	printf("%s: %s\n", what, err < 0 ? strerror(-err) : "done");
}

int main(void)
{
	foster_process *process = foster_process_new("worker", wait_for_signal, NULL);
	int code;

	if (!process)
		return 1;
	show("before", process);
	say("set daemon", foster_process_set_daemon(process, true));
	say("start", foster_process_start(process));
	show("started", process);
	say("set daemon", foster_process_set_daemon(process, false));
	say("start", foster_process_start(process));
	printf("join for 0 ms: %s\n",
	       foster_process_join(process, 0) == -ETIMEDOUT ? "it still runs" : "it has ended");
	say("terminate", foster_process_terminate(process));
	say("join", foster_process_join(process, -1));
	show("ended", process);
	if (foster_process_exitcode(process, &code) < 0)
		return 1;
	printf("exit code %d\n", code);
	return foster_process_free(process) < 0;
}
