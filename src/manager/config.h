/* SPDX-License-Identifier: MIT */
/*
 * The configuration: read whole, checked whole, then immutable. A struct config is built by
 * config_load() or not at all; the manager swaps the old one for the new one. Nothing of
 * libconfuse leaves config-parse.c.
 */
#ifndef FOSTER_MANAGER_CONFIG_H
#define FOSTER_MANAGER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/macro.h"

#define CONFIG_NAME_MAX        63    /* bytes of a service's or socket's name, without the NUL */
#define CONFIG_SERVICES_MAX    12000 /* services in one config; the supervisor's table holds more */
#define CONFIG_SOCKETS_MAX     64    /* sockets' addresses passed to one service */
#define CONFIG_COMMAND_MAX     (64 << 10) /* bytes of one command */
#define CONFIG_ENVIRONMENT_MAX (64 << 10) /* bytes of one environment */
#define CONFIG_FILE_MAX        (8 << 20)  /* bytes of one file */
#define CONFIG_DEPTH_MAX       8          /* files that include one another */
#define LOG_PREFIX_MAX         255        /* bytes of a log-prefix */
#define CONFIG_PROBLEMS_MAX    1000       /* problems told of one config */

enum restart_policy {
	RESTART_NO,
	RESTART_ON_FAILURE,
	RESTART_ALWAYS
};
const char *restart_policy_to_string(enum restart_policy);
int restart_policy_from_string(const char *);

enum ready_type {
	READY_EXEC,
	READY_NOTIFY,
	READY_FD,
	READY_FORKING,
	READY_ONESHOT,
};
const char *ready_type_to_string(enum ready_type);
int ready_type_from_string(const char *);

enum on_exit {
	ON_EXIT_NOTHING,
	ON_EXIT_SHUTDOWN,
};
const char *on_exit_to_string(enum on_exit);
int on_exit_from_string(const char *);

enum kill_mode {
	KILL_MODE_TREE,
	KILL_MODE_PROCESS,
};
const char *kill_mode_to_string(enum kill_mode);
int kill_mode_from_string(const char *);

enum log_type {
	LOG_TYPE_FILE,
	LOG_TYPE_JOURNAL,
	LOG_TYPE_SYSLOG,
	LOG_TYPE_INHERIT,
	LOG_TYPE_NONE
};
const char *log_type_to_string(enum log_type);
int log_type_from_string(const char *);

enum log_stderr {
	LOG_STDERR_TOGETHER,
	LOG_STDERR_APART
};
const char *log_stderr_to_string(enum log_stderr);
int log_stderr_from_string(const char *);

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON
};
const char *log_format_to_string(enum log_format);
int log_format_from_string(const char *);

enum log_stamps {
	LOG_STAMPS_NO,
	LOG_STAMPS_UTC,
	LOG_STAMPS_LOCAL
};
const char *log_stamps_to_string(enum log_stamps);
int log_stamps_from_string(const char *); /* also "false", and "true" for UTC */

enum log_compress {
	LOG_COMPRESS_NO,
	LOG_COMPRESS_GZIP,
	LOG_COMPRESS_ZSTD
};
const char *log_compress_to_string(enum log_compress);
int log_compress_from_string(const char *);

enum log_full {
	LOG_FULL_BLOCK,
	LOG_FULL_DROP
};
const char *log_full_to_string(enum log_full);
int log_full_from_string(const char *);

struct log_rate {
	uint64_t lines;  /* 0: no limit */
	uint64_t period; /* us */
};

/* One address of a socket section. */
struct socket_address {
	char *text;                      /* as written: "127.0.0.1:6667", "[::1]:6667", "/run/x" */
	struct sockaddr_storage address; /* unix, IPv4 or IPv6 */
	socklen_t length;
};

struct socket_config {
	char *name;
	int type; /* SOCK_STREAM (listen), SOCK_DGRAM (datagram) */
	struct socket_address *addresses;
	size_t n_addresses;
	char *from_systemd; /* of one that systemd has bound: its name there; else NULL */
	int backlog;        /* of listen(2); 4096 unless set */
	mode_t mode;        /* of a Unix socket's file; 0666 unless set */
	char *file;         /* where the section stands, for messages: "foster.conf:12" */
};

struct service_limit {
	int resource; /* RLIMIT_* */
	struct rlimit limit;
};

struct service_config {
	/* It and where the section stands, "conf.d/web.conf:3", lie behind the struct. */
	char *name, *file;
	char *description; /* may be NULL */
	char **command;    /* at least one element */
	char *directory;   /* NULL: / */

	char *user;  /* NULL: that of fosterd. What follows is looked up when the config is read */
	char *group; /* NULL: the user's */
	char *home, *shell; /* of the user; NULL when no user is given */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary: the user's, and those of the option groups */
	size_t n_groups;

	bool change_user, has_umask, has_nice;
	bool autostart; /* true unless set */
	mode_t umask;
	int nice;
	struct service_limit *limits;
	size_t n_limits;

	char **group_names;     /* the option groups, as written */
	char *environment_file; /* as written; its variables are in environment */
	char **environment;     /* "NAME=value": environment-file first, then environment */
	char **sockets;         /* names of socket sections, in the order of the fds passed */

	bool daemon, has_ready_fd;
	int death_signal; /* SIGKILL unless set */

	enum restart_policy restart;
	unsigned restart_limit;                                   /* 0: none */
	uint64_t restart_delay, restart_delay_max, restart_reset; /* us */

	int stop_signal;
	enum kill_mode kill_mode;
	uint64_t stop_timeout; /* us; USEC_INFINITY: wait for ever */

	enum on_exit on_exit;
	enum ready_type ready;
	unsigned fd_store_max;  /* descriptors that it may leave for its next start */
	int ready_fd;           /* of READY_FD: its number in the service; 3 unless set */
	char *pid_file;         /* of READY_FORKING, absolute; NULL: none */
	uint64_t start_timeout; /* us */
	uint64_t watchdog;      /* us; 0: off */

	char **requires; /* names of services: they must be ready first, and stop after this one */
	char **after;    /* names of services: only the order */

	enum log_type log;
	enum log_stderr log_stderr;
	enum log_format log_format;
	enum log_stamps log_timestamps;
	enum log_compress log_compress;
	enum log_full log_full;
	char *log_prefix; /* may be NULL, as the next two */
	char *log_owner;  /* "USER", "USER:GROUP" or ":GROUP" */
	char *log_socket; /* of the journal or of syslog, if it is not the usual one */
	uid_t log_uid;    /* what log_owner says; -1: as they come */
	gid_t log_gid;
	mode_t log_mode;
	unsigned log_keep;
	uint64_t log_size, log_keep_size; /* bytes; 0: no limit */
	uint64_t log_buffer;              /* bytes of its pipe; 0: as the kernel makes it */
	uint64_t log_time;                /* us; 0: none */
	struct log_rate log_rate;
};

struct config {
	char *path;          /* the file it was read from, absolute */
	char *log_directory; /* absolute; NULL when not set: the caller's default holds */
	char *control_group; /* whose members may do everything; NULL: none */
	gid_t control_gid;
	char *control_read_group; /* whose members may only ask; NULL: none */
	gid_t control_read_gid;
	char *cgroup; /* "auto", "no", or an absolute path; NULL: as auto */

	struct service_config **services; /* in the order of the file; instances expanded */
	size_t n_services;
	struct socket_config **sockets;
	size_t n_sockets;

	struct name_index *service_index, *socket_index; /* of config_find_*() */
};

/*
 * What a config was made of: every file read, byte for byte. From it the same config is built
 * again when the files have changed meanwhile (a restarted manager needs the one in force).
 */
struct config_source;
struct config_source *config_source_new(void); /* empty: files are read from disk and kept */
struct config_source *config_source_free(struct config_source *); /* always NULL */
/* Writes to, or reads from, an fd (a memfd) from its start. 0 or -errno. */
int config_source_save(const struct config_source *, int fd);
int config_source_restore(int fd, struct config_source **ret);

/*
 * A list of problems, so that one check tells all of them. Each has a file, a line (0: none)
 * and a text that says what is wrong and what is allowed.
 */
struct config_problem {
	char *file;
	int line;
	char *text;
};
struct config_problems {
	struct config_problem *items;
	size_t n;
};
void config_problems_clear(struct config_problems *);

/*
 * Reads and checks the file and all that it includes, through source (a restored one reads no
 * disk but for what only execution needs: users and groups are looked up again). Returns NULL
 * when anything is wrong; problems then holds at least one. May block (disk, NSS): only at
 * start, check and reload.
 */
struct config *config_load(const char *path, struct config_source *source,
			   struct config_problems *problems);
struct config *config_free(struct config *); /* always NULL */

/*
 * The service as a section of a config that would give it, defaults included, secrets not hidden.
 */
void config_print_service(const struct service_config *service, FILE *f);
void config_print(const struct config *config, FILE *f);

/* NULL when there is none. Fast (a hash or a sorted index): called per request. */
const struct service_config *config_find_service(const struct config *, const char *name);
const struct socket_config *config_find_socket(const struct config *, const char *name);

/* What becomes of a running instance when options differ; the strongest of them counts. */
enum config_effect {
	EFFECT_NONE,    /* they hold at once: restart, stop-timeout, ... */
	EFFECT_PENDING, /* attributes of the process object, which are set before its start */
	EFFECT_RESTART, /* what it runs, and as whom: command, user, ... */
};

/*
 * The names of the options in which two configs of one service differ, comma-separated
 * ("command, environment"), in a string that the caller frees; NULL when they do not differ,
 * or when out of memory with errno set to ENOMEM. sockets are compared by the addresses of the
 * sections they name, too.
 */
char *config_diff_service(const struct config *a, const struct service_config *service_a,
			  const struct config *b, const struct service_config *service_b,
			  enum config_effect *ret_effect);

#endif
