/* SPDX-License-Identifier: MIT */
/* Signal numbers and names: see signals.h. */
#include "base/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"
#include "base/units.h"

static const struct {
	int number;
	const char *name;
} signals[] = {
	{ SIGHUP, "SIGHUP" },       { SIGINT, "SIGINT" },       { SIGQUIT, "SIGQUIT" },
	{ SIGILL, "SIGILL" },       { SIGTRAP, "SIGTRAP" },     { SIGABRT, "SIGABRT" },
	{ SIGBUS, "SIGBUS" },       { SIGFPE, "SIGFPE" },       { SIGKILL, "SIGKILL" },
	{ SIGUSR1, "SIGUSR1" },     { SIGSEGV, "SIGSEGV" },     { SIGUSR2, "SIGUSR2" },
	{ SIGPIPE, "SIGPIPE" },     { SIGALRM, "SIGALRM" },     { SIGTERM, "SIGTERM" },
	{ SIGSTKFLT, "SIGSTKFLT" }, { SIGCHLD, "SIGCHLD" },     { SIGCONT, "SIGCONT" },
	{ SIGSTOP, "SIGSTOP" },     { SIGTSTP, "SIGTSTP" },     { SIGTTIN, "SIGTTIN" },
	{ SIGTTOU, "SIGTTOU" },     { SIGURG, "SIGURG" },       { SIGXCPU, "SIGXCPU" },
	{ SIGXFSZ, "SIGXFSZ" },     { SIGVTALRM, "SIGVTALRM" }, { SIGPROF, "SIGPROF" },
	{ SIGWINCH, "SIGWINCH" },   { SIGIO, "SIGIO" },         { SIGPWR, "SIGPWR" },
	{ SIGSYS, "SIGSYS" },
};

int signal_from_string(const char *text)
{
	int64_t number;

	if (parse_int(text, 1, SIGRTMAX, &number) == 0)
		return number;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
		if (strcasecmp(signals[i].name + 3, text) == 0)
			return signals[i].number;
	}
	if (strncasecmp(text, "RTMIN", 5) == 0) {
		if (!text[5])
			return SIGRTMIN;
		if (text[5] == '+' && parse_int(text + 6, 0, SIGRTMAX - SIGRTMIN, &number) == 0)
			return SIGRTMIN + number;
	}
	return -EINVAL;
}

const char *signal_to_string(int signo)
{
	static char text[32];

	for (size_t i = 0; i < ELEMENTSOF(signals); i++) {
		if (signals[i].number == signo)
			return signals[i].name;
	}
	if (signo >= SIGRTMIN && signo <= SIGRTMAX)
		snprintf(text, sizeof(text), "SIGRTMIN+%d", signo - SIGRTMIN);
	else
		snprintf(text, sizeof(text), "signal %d", signo);
	return text;
}
