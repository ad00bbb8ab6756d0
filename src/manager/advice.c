/* SPDX-License-Identifier: MIT */
/* Advice on a configuration: see advice.h. */
#include "manager/advice.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/macro.h"
#include "base/strv.h"
#include "manager/config.h"

#define OWN_DESCRIPTORS 192 /* of fosterd: see its FD_BASE */

static const char *search_path(const struct service_config *s)
{
	const char *path = getenv("PATH");

	STRV_FOREACH(assignment, s->environment) {
		if (strncmp(*assignment, "PATH=", 5) == 0)
			path = *assignment + 5;
	}
	return path ? path : "";
}

/* The file that the command names, as execvp(3) would find it. False: there is none. */
static bool find_command(const struct service_config *s, char *buf, size_t size, struct stat *ret)
{
	if (strchr(s->command[0], '/')) {
		snprintf(buf, size, "%s", s->command[0]);
		return stat(buf, ret) == 0;
	}
	for (const char *p = search_path(s); *p;) {
		size_t length = strcspn(p, ":");

		snprintf(buf, size, "%.*s/%s", (int)length, p, s->command[0]);
		if (length > 0 && stat(buf, ret) == 0 && S_ISREG(ret->st_mode))
			return true;
		p += length + (p[length] == ':');
	}
	return false;
}

/* fosterd and foster-log have one each, and some for themselves. */
static size_t descriptors_of(const struct config *c)
{
	size_t n = OWN_DESCRIPTORS;

	for (size_t i = 0; i < c->n_services; i++) {
		const struct service_config *s = c->services[i];

		if (s->log <= LOG_TYPE_SYSLOG)
			n += s->log_stderr == LOG_STDERR_APART ? 2 : 1;
	}
	return n;
}

static unsigned print_limit(const struct config *c, FILE *f)
{
	size_t n = descriptors_of(c);
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || n <= limit.rlim_max)
		return 0;
	fprintf(f,
		"%s: note: the pipes of so many services are about %zu open files, more than the "
		"hard limit of %ju: raise it by ulimit -Hn, or LimitNOFILE= of systemd\n",
		c->path, n, (uintmax_t)limit.rlim_max);
	return 1;
}

/* What the kernel lets an ordinary user have; 0: it cannot be read. */
static uint64_t largest_pipe(void)
{
	_cleanup_free_ char *text = NULL;

	if (fd_read_file("/proc/sys/fs/pipe-max-size", 64, &text, NULL) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

static unsigned print_buffers(const struct config *c, FILE *f)
{
	uint64_t largest = geteuid() != 0 ? largest_pipe() : 0;
	unsigned n = 0;

	for (size_t i = 0; largest > 0 && i < c->n_services; i++) {
		const struct service_config *s = c->services[i];

		if (s->log_buffer <= largest)
			continue;
		fprintf(f,
			"%s: note: service %s: log-buffer is more than the %" PRIu64
			" bytes of /proc/sys/fs/pipe-max-size, which only root may exceed\n",
			s->file, s->name, largest);
		n++;
	}
	return n;
}

unsigned advice_print(const struct config *c, FILE *f)
{
	unsigned n = print_limit(c, f) + print_buffers(c, f);

	for (size_t i = 0; geteuid() != 0 && i < c->n_services; i++) {
		const struct service_config *s = c->services[i];
		char path[PATH_MAX];
		struct stat st;

		if (!find_command(s, path, sizeof(path), &st) || !(st.st_mode & S_ISUID) ||
		    st.st_uid == geteuid())
			continue;
		fprintf(f,
			"%s: note: service %s: %s is a set-user-ID program of user %u: if it "
			"becomes "
			"that user for good, it cannot be signalled, nor ended with fosterd\n",
			s->file, s->name, path, st.st_uid);
		n++;
	}
	return n;
}
