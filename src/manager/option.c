/* SPDX-License-Identifier: MIT */
/* The tables of all options: see option.h. How a value is read is in option-value.c. */
#include "manager/option.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/link.h"
#include "manager/config-draft.h"
#include "manager/config.h"

#define ANY_PATH     "an absolute path"
#define ANY_DURATION "a duration: \"250ms\", \"10s\", \"5min\", \"1min 30s\", \"2h\""
#define OR_INFINITY  ANY_DURATION ", or \"infinity\""
#define ANY_SIGNAL   "the name or number of a signal: TERM, SIGUSR1, \"RTMIN+1\", 15"
#define ANY_NAMES    "a list of names in braces: {\"db\", \"cache\"}"
#define TRUE_FALSE   "true or false"
#define SOFT_HARD    ", \"infinity\", or \"SOFT:HARD\""
#define ANY_COUNT    "a number: \"1024\"" SOFT_HARD
#define ANY_BYTES    "a size: \"4096\", \"64K\", \"50M\", \"2G\"" SOFT_HARD
#define ANY_SECONDS  "a duration of whole seconds: \"30s\", \"1h\"" SOFT_HARD
#define ANY_USECS    "a duration: \"200ms\", \"10s\"" SOFT_HARD

static const char *restart_text(int value)
{
	return restart_policy_to_string(value);
}

static const char *ready_text(int value)
{
	return ready_type_to_string(value);
}

static const char *on_exit_text(int value)
{
	return on_exit_to_string(value);
}

static const char *kill_mode_text(int value)
{
	return kill_mode_to_string(value);
}

static const char *log_text(int value)
{
	return log_type_to_string(value);
}

static const char *log_stderr_text(int value)
{
	return log_stderr_to_string(value);
}

static const char *log_format_text(int value)
{
	return log_format_to_string(value);
}

static const char *log_stamps_text(int value)
{
	return log_stamps_to_string(value);
}

static const char *log_compress_text(int value)
{
	return log_compress_to_string(value);
}

static const char *log_full_text(int value)
{
	return log_full_to_string(value);
}

#define FIELD(m)    .offset = offsetof(struct service_config, m)
#define HAS(m)      .has = offsetof(struct service_config, m)
#define RANGE(a, b) .min = (a), .max = (b)
#define EVERY       OPTION_DEFAULTS
#define START       OPTION_DEFAULTS | OPTION_RESTART

/* clang-format off */
static const struct option service_table[] = {
	/* what it is */
	{ "description",       OPTION_TEXT,     0,     FIELD(description),       .allowed = "a line of text",
	  .help = "What the service is, for people" },
	{ "command",           OPTION_COMMAND,  OPTION_RESTART, FIELD(command),
	  .allowed = "a list in braces, one element an argument: {\"/usr/bin/worker\", \"--shard\", \"1\"}",
	  .help = "The program and its arguments; no shell is involved, nothing is expanded" },

	/* what it runs as */
	{ "directory",         OPTION_PATH,     START, FIELD(directory),         .allowed = ANY_PATH,
	  .help = "The working directory; / unless set" },
	{ "user",              OPTION_TEXT,     START, FIELD(user),              .allowed = "the name or number of a user",
	  .help = "The user it runs as, with that user's group and supplementary groups; unless set, the one fosterd runs as" },
	{ "group",             OPTION_TEXT,     START, FIELD(group),             .allowed = "the name or number of a group",
	  .help = "The group it runs as, instead of the user's" },
	{ "groups",            OPTION_LIST,     START, FIELD(group_names),       .allowed = "a list of names in braces: {\"audio\", \"ssl-cert\"}",
	  .help = "Supplementary groups beside those of the user" },
	{ "umask",             OPTION_MODE,     START, FIELD(umask),             HAS(has_umask), RANGE(0, 0777), .allowed = "an octal number: \"022\", \"0077\"",
	  .help = "The file mode creation mask" },
	{ "nice",              OPTION_NUMBER,   START, FIELD(nice),              HAS(has_nice), RANGE(-20, 19), .allowed = "a number from -20 to 19",
	  .help = "The scheduling priority" },
	{ "environment",       OPTION_LIST,     START, FIELD(environment),       .allowed = "a list in braces: {\"LANG=C.UTF-8\", \"PORT=8080\"}",
	  .help = "Variables of its environment" },
	{ "environment-file",  OPTION_PATH,     START | OPTION_NO_DIFF | OPTION_MAY_MISS, FIELD(environment_file), .allowed = ANY_PATH ", after a \"-\" when it may be missing",
	  .help = "A file of further variables, read when the config is; those of environment win" },
	{ "sockets",           OPTION_LIST,     START, FIELD(sockets),           .allowed = "a list of names of socket sections in braces: {\"irc\", \"web\"}",
	  .help = "The sockets it is given, from descriptor 3 on (LISTEN_FDS, as sd_listen_fds(3) has it)" },
	{ "limit-core",        OPTION_LIMIT,    START, .resource = RLIMIT_CORE,       .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The largest core dump" },
	{ "limit-nofile",      OPTION_LIMIT,    START, .resource = RLIMIT_NOFILE,     .unit = LIMIT_NUMBER,       .allowed = ANY_COUNT,   .help = "The number of open descriptors" },
	{ "limit-nproc",       OPTION_LIMIT,    START, .resource = RLIMIT_NPROC,      .unit = LIMIT_NUMBER,       .allowed = ANY_COUNT,   .help = "The number of processes of the user" },
	{ "limit-as",          OPTION_LIMIT,    START, .resource = RLIMIT_AS,         .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The address space" },
	{ "limit-cpu",         OPTION_LIMIT,    START, .resource = RLIMIT_CPU,        .unit = LIMIT_SECONDS,      .allowed = ANY_SECONDS, .help = "The CPU time" },
	{ "limit-fsize",       OPTION_LIMIT,    START, .resource = RLIMIT_FSIZE,      .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The largest file that it may write" },
	{ "limit-data",        OPTION_LIMIT,    START, .resource = RLIMIT_DATA,       .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The data segment" },
	{ "limit-stack",       OPTION_LIMIT,    START, .resource = RLIMIT_STACK,      .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The stack" },
	{ "limit-memlock",     OPTION_LIMIT,    START, .resource = RLIMIT_MEMLOCK,    .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "Memory locked into RAM" },
	{ "limit-rss",         OPTION_LIMIT,    START, .resource = RLIMIT_RSS,        .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The resident set; Linux does not enforce it" },
	{ "limit-sigpending",  OPTION_LIMIT,    START, .resource = RLIMIT_SIGPENDING, .unit = LIMIT_NUMBER,       .allowed = ANY_COUNT,   .help = "The number of queued signals" },
	{ "limit-msgqueue",    OPTION_LIMIT,    START, .resource = RLIMIT_MSGQUEUE,   .unit = LIMIT_BYTES,        .allowed = ANY_BYTES,   .help = "The bytes in POSIX message queues" },
	{ "limit-nice",        OPTION_LIMIT,    START, .resource = RLIMIT_NICE,       .unit = LIMIT_NUMBER,       .allowed = ANY_COUNT,   .help = "The ceiling of the nice value, as 20 minus nice: 1 to 40" },
	{ "limit-rtprio",      OPTION_LIMIT,    START, .resource = RLIMIT_RTPRIO,     .unit = LIMIT_NUMBER,       .allowed = ANY_COUNT,   .help = "The ceiling of the real-time priority" },
	{ "limit-rttime",      OPTION_LIMIT,    START, .resource = RLIMIT_RTTIME,     .unit = LIMIT_MICROSECONDS, .allowed = ANY_USECS,   .help = "CPU time under real-time scheduling without a blocking call" },

	/* how long it lives */
	{ "daemon",            OPTION_BOOL,     START | OPTION_ATTRIBUTE, FIELD(daemon),            .allowed = TRUE_FALSE, .fallback = "false",
	  .help = "Whether it ends with fosterd, and its whole tree with it" },
	{ "death-signal",      OPTION_SIGNAL,   START | OPTION_ATTRIBUTE | OPTION_LETHAL, FIELD(death_signal), .allowed = ANY_SIGNAL, .fallback = "KILL",
	  .help = "What the kernel sends a daemon when fosterd is killed" },
	{ "autostart",         OPTION_BOOL,     EVERY, FIELD(autostart),         .allowed = TRUE_FALSE, .fallback = "true",
	  .help = "Whether it is started when fosterd is" },
	{ "restart",           OPTION_ENUM,     EVERY, FIELD(restart),           .allowed = "no, on-failure or always", .fallback = "on-failure",
	  .help = "Whether it is started again when it has ended by itself",
	  .from_string = restart_policy_from_string, .to_string = restart_text },
	{ "restart-delay",     OPTION_DURATION, EVERY | OPTION_FINITE, FIELD(restart_delay), .allowed = ANY_DURATION, .fallback = "100ms",
	  .help = "The pause before the second restart; the first is at once, each later pause is twice the one before" },
	{ "restart-delay-max", OPTION_DURATION, EVERY | OPTION_FINITE, FIELD(restart_delay_max), .allowed = ANY_DURATION, .fallback = "30s",
	  .help = "The longest pause" },
	{ "restart-limit",     OPTION_COUNT,    EVERY, FIELD(restart_limit),     RANGE(0, 1000000), .allowed = "a number from 0 to 1000000", .fallback = "0",
	  .help = "After so many restarts in a row the service is failed; 0: never" },
	{ "restart-reset",     OPTION_DURATION, EVERY, FIELD(restart_reset),     .allowed = OR_INFINITY, .fallback = "1min",
	  .help = "After so long a run pauses and restarts count from the beginning" },

	{ "on-exit",           OPTION_ENUM,     EVERY, FIELD(on_exit),           .allowed = "nothing or shutdown", .fallback = "nothing",
	  .help = "What follows when it has ended by itself and is not restarted: nothing, or the end of all services and of fosterd, with its exit code",
	  .from_string = on_exit_from_string, .to_string = on_exit_text },

	/* how it stops, and when it counts as started */
	{ "stop-signal",       OPTION_SIGNAL,   EVERY, FIELD(stop_signal),       .allowed = ANY_SIGNAL, .fallback = "TERM",
	  .help = "What asks it to end" },
	{ "stop-timeout",      OPTION_DURATION, EVERY, FIELD(stop_timeout),      .allowed = OR_INFINITY, .fallback = "10s",
	  .help = "After so long what is left of its tree gets SIGKILL" },
	{ "kill-mode",         OPTION_ENUM,     EVERY, FIELD(kill_mode),         .allowed = "tree or process", .fallback = "tree",
	  .help = "What a stop ends: all that descends from it, or its main process alone",
	  .from_string = kill_mode_from_string, .to_string = kill_mode_text },
	{ "ready",             OPTION_ENUM,     START, FIELD(ready),             .allowed = "exec, notify, fd, forking or oneshot", .fallback = "exec",
	  .help = "When it is ready: once its program runs, when it says so by READY=1 of sd_notify(3) or by a newline on a descriptor, when it has left a daemon behind, or when it has ended well",
	  .from_string = ready_type_from_string, .to_string = ready_text },
	{ "ready-fd",          OPTION_NUMBER,   START, FIELD(ready_fd),          HAS(has_ready_fd), RANGE(1, LINK_READY_MAX), .allowed = "a number from 1 to 99",
	  .help = "With ready = fd: the descriptor that it writes a newline to, 3 unless set; it must lie behind those of its sockets" },
	{ "pid-file",          OPTION_PATH,     OPTION_RESTART, FIELD(pid_file), .allowed = ANY_PATH,
	  .help = "With ready = forking: the file that it writes its main process's pid to" },
	{ "start-timeout",     OPTION_DURATION, EVERY, FIELD(start_timeout),     .allowed = OR_INFINITY, .fallback = "1min",
	  .help = "If it is not ready after so long the start has failed" },
	{ "watchdog",          OPTION_DURATION, START | OPTION_FINITE, FIELD(watchdog), .allowed = ANY_DURATION ", or 0 for none", .fallback = "0",
	  .help = "If WATCHDOG=1 of sd_notify(3) does not come for so long it is killed and counts as failed" },
	{ "fd-store-max",      OPTION_COUNT,    START, FIELD(fd_store_max),      RANGE(0, LINK_FDS_MAX), .allowed = "a number from 0 to 64", .fallback = "0",
	  .help = "How many descriptors it may store, to get them back behind its sockets when it is started again (FDSTORE=1 of sd_notify(3))" },
	{ "requires",          OPTION_LIST,     0,     FIELD(requires),          .allowed = ANY_NAMES,
	  .help = "Services that must be ready before it starts, and that stop after it" },
	{ "after",             OPTION_LIST,     0,     FIELD(after),             .allowed = ANY_NAMES,
	  .help = "Services that start before it where they start at all: only an order" },

	/* where its output goes */
	{ "log",               OPTION_ENUM,     START, FIELD(log),               .allowed = "file, journal, syslog, inherit or none", .fallback = "file",
	  .help = "Where its output goes: to the file log-directory/NAME.log, systemd's journal, the syslog daemon, fosterd's own output, or nowhere",
	  .from_string = log_type_from_string, .to_string = log_text },
	{ "log-stderr",        OPTION_ENUM,     START, FIELD(log_stderr),        .allowed = "together or apart", .fallback = "together",
	  .help = "Whether standard error goes the way of standard output, in the order of their lines, or has a pipe and a file of its own, NAME.stderr.log",
	  .from_string = log_stderr_from_string, .to_string = log_stderr_text },
	{ "log-format",        OPTION_ENUM,     EVERY, FIELD(log_format),        .allowed = "text or json", .fallback = "text",
	  .help = "Whether a line is written as it comes, or as an object of JSON with time, service, instance, pid, stream and text",
	  .from_string = log_format_from_string, .to_string = log_format_text },
	{ "log-timestamps",    OPTION_ENUM,     EVERY, FIELD(log_timestamps),    .allowed = "no, utc or local; false and true are no and utc", .fallback = "no",
	  .help = "Whether a time stands in front of each line, as 2026-11-25T13:40:00.123456Z or with the offset of local time",
	  .from_string = log_stamps_from_string, .to_string = log_stamps_text },
	{ "log-prefix",        OPTION_TEXT,     EVERY | OPTION_EMPTY, FIELD(log_prefix),        .allowed = "a text of at most 255 bytes: \"[web] \", or \"\" for none",
	  .help = "What stands in front of each line of a file, behind the time; not in JSON" },
	{ "log-size",          OPTION_SIZE,     EVERY, FIELD(log_size),          RANGE(1024, 0), .allowed = "a size of at least 1K: \"64K\", \"50M\", \"2G\", or 0 for no limit", .fallback = "50M",
	  .help = "A file that would become larger is rotated away, and a new one begun" },
	{ "log-time",          OPTION_DURATION, EVERY | OPTION_FINITE, FIELD(log_time), .allowed = "a duration from 1s on: \"90s\", \"5min\", \"12h\", \"1w\", or 0 for none", .fallback = "0",
	  .help = "A file is rotated away when so long a time is over: with 1d at midnight, with 1w on Mondays, with 1h at each full hour, by local time; at the first line after it" },
	{ "log-keep",          OPTION_COUNT,    EVERY, FIELD(log_keep),          RANGE(0, 10000), .allowed = "a number from 0 to 10000", .fallback = "10",
	  .help = "How many files that were rotated away are kept" },
	{ "log-keep-size",     OPTION_SIZE,     EVERY, FIELD(log_keep_size),     RANGE(1024, 0), .allowed = "a size of at least 1K: \"500M\", \"2G\", or 0 for no limit", .fallback = "0",
	  .help = "How many bytes they may have, and with them the file that is written, were it full; the oldest are removed" },
	{ "log-compress",      OPTION_ENUM,     EVERY, FIELD(log_compress),      .allowed = "no, gzip or zstd", .fallback = "no",
	  .help = "Whether files that were rotated away are compressed, in the background",
	  .from_string = log_compress_from_string, .to_string = log_compress_text },
	{ "log-owner",         OPTION_TEXT,     EVERY, FIELD(log_owner),         .allowed = "USER, USER:GROUP or :GROUP, by names or numbers: \"root:adm\"",
	  .help = "Whom a new file belongs to; unless set, the one fosterd runs as" },
	{ "log-mode",          OPTION_MODE,     EVERY, FIELD(log_mode),          RANGE(0, 0777), .allowed = "an octal number: \"0640\", \"0600\"", .fallback = "0640",
	  .help = "The permissions of a new file" },
	{ "log-full",          OPTION_ENUM,     EVERY, FIELD(log_full),          .allowed = "block or drop", .fallback = "block",
	  .help = "What becomes of output that cannot be written, because the disk is full say: it waits in the pipe, and with it the service once that is full, or then it is dropped, and counted",
	  .from_string = log_full_from_string, .to_string = log_full_text },
	{ "log-buffer",        OPTION_SIZE,     EVERY, FIELD(log_buffer),        RANGE(4096, INT64_C(1) << 30), .allowed = "a size from 4K to 1G: \"256K\", \"1M\", or 0 for 64K to 256K as need be", .fallback = "0",
	  .help = "How much output may wait in its pipe, in the kernel's memory, while it cannot be written; rounded up to a power of two" },
	{ "log-rate",          OPTION_RATE,     EVERY, FIELD(log_rate),          RANGE(1, 100000000), .allowed = "a number of lines from 1 to 100000000 a second, minute or hour: \"1000/s\", \"5000/min\", \"100/h\", or 0 for no limit", .fallback = "0",
	  .help = "More lines than this are dropped, and counted" },
	{ "log-socket",        OPTION_PATH,     EVERY, FIELD(log_socket),        .allowed = ANY_PATH,
	  .help = "Where the journal or the syslog daemon listens; unless set, /run/systemd/journal/socket or /dev/log" },
};

#undef FIELD
#define FIELD(m) .offset = offsetof(struct socket_draft, m)
static const struct option socket_table[] = {
	{ "listen",            OPTION_LIST,     0, FIELD(listen),   .allowed = "a list of addresses in braces: {\"127.0.0.1:6667\", \"[::1]:6667\", \"/run/app/socket\"}",
	  .help = "Stream sockets, for connections" },
	{ "datagram",          OPTION_LIST,     0, FIELD(datagram), .allowed = "a list of addresses in braces: {\"127.0.0.1:8888\"}",
	  .help = "Datagram sockets" },
	{ "from-systemd",      OPTION_TEXT,     0, FIELD(from_systemd), .allowed = "the FileDescriptorName= of a socket unit of systemd's",
	  .help = "Instead of addresses: sockets that systemd has bound and given to fosterd" },
	{ "backlog",           OPTION_NUMBER,   0, FIELD(backlog),  RANGE(1, 65535), .allowed = "a number from 1 to 65535", .fallback = "4096",
	  .help = "How many connections may wait to be accepted" },
	{ "mode",              OPTION_MODE,     0, FIELD(mode),     RANGE(0, 0777), .allowed = "an octal number: \"0666\", \"0600\"", .fallback = "0666",
	  .help = "Permissions of a Unix socket's file" },
};

#undef FIELD
#define FIELD(m) .offset = offsetof(struct top_draft, m)
static const struct option top_table[] = {
	{ "log-directory",      OPTION_PATH, 0, FIELD(log_directory),      .allowed = ANY_PATH,
	  .help = "Where the services' output goes, one file NAME.log a service" },
	{ "control-group",      OPTION_TEXT, 0, FIELD(control_group),      .allowed = "the name or number of a group",
	  .help = "Whose members may ask and command through fosterctl(1)" },
	{ "control-read-group", OPTION_TEXT, 0, FIELD(control_read_group), .allowed = "the name or number of a group",
	  .help = "Whose members may only ask" },
	{ "cgroup",             OPTION_TEXT, 0, FIELD(cgroup),             .allowed = "auto, no, or an absolute path below the mount of cgroup v2",
	  .help = "Where the services' cgroups are made: below fosterd's own where that may be written to, nowhere, or below that one; read when fosterd starts" },
	{ "include",            OPTION_LIST, OPTION_BARE_LIST, FIELD(include), .allowed = "a path or pattern, or a list of them in braces: \"conf.d/*.conf\"",
	  .help = "Further files, relative to the one that names them" },
};
/* clang-format on */

static_assert(ELEMENTSOF(service_table) <= OPTIONS_MAX, "a set of options is a uint64_t");

const struct option_table service_options = { "service", service_table, ELEMENTSOF(service_table) };
const struct option_table socket_options = { "socket", socket_table, ELEMENTSOF(socket_table) };
const struct option_table top_options = { NULL, top_table, ELEMENTSOF(top_table) };

int option_find(const struct option_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++) {
		if (strcmp(table->options[i].name, name) == 0)
			return (int)i;
	}
	return -ENOENT;
}

void option_table_print_mdoc(const struct option_table *table, FILE *f)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct option *o = &table->options[i];

		fprintf(f, ".It Ic %s\n%s.\nValue: %s.\n", o->name, o->help, o->allowed);
		if (o->fallback)
			fprintf(f, "Default: %s.\n", o->fallback);
		if (o->flags & OPTION_ATTRIBUTE)
			fprintf(f, "A change holds from the next start.\n");
		else if (o->flags & OPTION_RESTART)
			fprintf(f, "A reload that changes it restarts the service.\n");
	}
}
