/* SPDX-License-Identifier: MIT */
/* The table of verbs, and help. What each does is in verb-*.c. */
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/options.h"

#define ANY SIZE_MAX

/* clang-format off */
const struct verb verbs[] = {
	{ "status",   "[NAME...]",         0, ANY, "",             false, "Say how services are; one named: all of it", verb_status },
	{ "list",     "",                  0, 0,   "",             false, "Print the names of all services", verb_list },
	{ "why",      "[NAME...]",         0, ANY, "blocking all join ", false, "Say why services are as they are; none named: those not as wanted", verb_why },
	{ "top",      "",                  0, 0,   "count interval ", false, "Show what services use: CPU, memory, tasks", verb_top },
	{ "start",    "[NAME...]",         0, ANY, "no-wait ",     false, "Start services; none named: all that are set to autostart", verb_start },
	{ "stop",     "[NAME...]",         0, ANY, "no-wait ",     false, "Stop services; none named: all", verb_stop },
	{ "restart",  "[NAME...]",         0, ANY, "no-wait ",     false, "Stop services, then start them; none named: all that run", verb_restart },
	{ "signal",   "SIGNAL NAME...",    2, ANY, "whole ",       false, "Send a signal to services", verb_signal },
	{ "join",     "NAME...",           1, ANY, "timeout ",     false, "Wait until services have ended; exit with their exit code", verb_join },
	{ "is-alive", "NAME",              1, 1,   "",             false, "Say whether a service has a process", verb_is_alive },
	{ "pid",      "NAME",              1, 1,   "",             false, "Print a service's process number", verb_pid },
	{ "events",   "",                  0, 0,   "follow since ", false, "Print what happened to services", verb_events },
	{ "log",      "NAME...",           1, ANY, "follow count since stream grep ", false, "Print the output of services, from their log files", verb_log },
	{ "reopen",   "",                  0, 0,   "",             false, "Have log files opened anew, after they were moved away", verb_reopen },
	{ "check",    "[FILE]",            0, 1,   "",             true,  "Say whether a config is right, and all that is wrong", verb_check },
	{ "reload",   "",                  0, 0,   "dry-run ",     false, "Read the config again and do what changed, or nothing", verb_reload },
	{ "shutdown", "",                  0, 0,   "all join ",    false, "End fosterd and the daemons among its services", verb_shutdown },
	{ "upgrade",  "[PROGRAM]",         0, 1,   "",             false, "Have the installed foster take over; services are not touched", verb_upgrade },
	{ "chat",     "say TEXT... | account|kline VERB...", 1, ANY, "config ", true, "Speak in the chat room, as its admin; or look after its accounts and K-lines", verb_chat, "say" },
	{ "version",  "",                  0, 0,   "",             false, "Print the versions of fosterctl and of what runs", verb_version },
	{ "help",     "[VERB]",            0, 1,   "",             true,  "Print help", verb_help },
};
/* clang-format on */
const size_t n_verbs = ELEMENTSOF(verbs);

int verb_help(const struct ctl *ctl, char **args, size_t n)
{
	for (size_t i = 0; n == 1 && i < n_verbs; i++) {
		if (strcmp(verbs[i].name, args[0]) == 0) {
			options_print_help(&verbs[i], stdout);
			return EXIT_OK;
		}
	}
	if (n == 1) {
		complain("there is no verb %s", args[0]);
		return EXIT_USAGE;
	}
	options_print_help(NULL, stdout);
	return EXIT_OK;
}
