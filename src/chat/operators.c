/* SPDX-License-Identifier: MIT */
/* Who may command services: see operators.h. */
#include "chat/operators.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "chat/names.h"

#define SERVICE_NAME_MAX 255

static const char *const commands[] = { "start", "stop", "restart", "reload", "ack" };

static bool is_command(const char *word, size_t size)
{
	for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
		if (strlen(commands[i]) == size && strncmp(commands[i], word, size) == 0)
			return true;
	}
	return false;
}

static void copy(char *to, size_t room, const char *from, size_t size)
{
	snprintf(to, room, "%.*s", (int)size, from);
}

/* The next of the parts between the character; false: there was none. */
static bool next_part(const char **text, char between, const char **ret, size_t *ret_size)
{
	const char *end;

	if (!*text)
		return false;
	end = strchrnul(*text, between);
	*ret = *text;
	*ret_size = end - *text;
	*text = *end ? end + 1 : NULL;
	return true;
}

struct right {
	const char *account, *services, *commands; /* NULL: all */
	size_t account_size, services_size, commands_size;
};

static bool split(const char *item, struct right *r)
{
	*r = (struct right){ .account = NULL };
	next_part(&item, ':', &r->account, &r->account_size);
	if (next_part(&item, ':', &r->services, &r->services_size))
		next_part(&item, ':', &r->commands, &r->commands_size);
	return !item;
}

static int check_commands(const struct right *r, struct error *e)
{
	char list[256];
	const char *rest = list, *word;
	size_t n;

	copy(list, sizeof(list), r->commands, r->commands_size);
	while (next_part(&rest, ',', &word, &n)) {
		if (!is_command(word, n))
			return error_set(e, -EINVAL,
					 "\"%.*s\" is none of start, stop, restart, reload, ack",
					 (int)MIN(n, (size_t)40), word);
	}
	return 0;
}

int operator_check(const char *item, struct error *e)
{
	struct right r;

	if (!split(item, &r) || r.account_size == 0 || r.account_size > 64 ||
	    (r.services && r.services_size == 0) || (r.commands && r.commands_size == 0) ||
	    strchr(item, ' '))
		return error_set(e, -EINVAL,
				 "\"%.60s\" is no operator: an account, or "
				 "\"account:services\", or \"account:services:commands\", lists "
				 "with commas, as in \"bob:web,worker*:restart\"",
				 item);
	return r.commands ? check_commands(&r, e) : 0;
}

static bool is_account(const struct right *r, const char *account)
{
	char name[65];

	copy(name, sizeof(name), r->account, r->account_size);
	return name_equal(name, account);
}

static bool has_service(const struct right *r, const char *service)
{
	char list[4096], pattern[SERVICE_NAME_MAX + 1];
	const char *rest = list, *at;
	size_t n;

	if (!r->services)
		return true;
	copy(list, sizeof(list), r->services, r->services_size);
	while (next_part(&rest, ',', &at, &n)) {
		copy(pattern, sizeof(pattern), at, n);
		if (strcmp(pattern, "*") == 0 || (*service && fnmatch(pattern, service, 0) == 0))
			return true;
	}
	return false;
}

static bool has_command(const struct right *r, const char *command)
{
	char list[256];
	const char *rest = list, *word;
	size_t n;

	if (!r->commands)
		return true;
	copy(list, sizeof(list), r->commands, r->commands_size);
	while (next_part(&rest, ',', &word, &n)) {
		if (strlen(command) == n && strncmp(command, word, n) == 0)
			return true;
	}
	return false;
}

bool operator_may(char *const *operators, const char *account, const char *command,
		  const char *service)
{
	for (; account && operators && *operators; operators++) {
		struct right r;

		if (split(*operators, &r) && is_account(&r, account) && has_service(&r, service) &&
		    has_command(&r, command))
			return true;
	}
	return false;
}

bool is_operator(char *const *operators, const char *account)
{
	for (; account && operators && *operators; operators++) {
		struct right r;

		if (split(*operators, &r) && is_account(&r, account))
			return true;
	}
	return false;
}

bool matches_any(char *const *patterns, const char *name)
{
	for (; patterns && *patterns; patterns++) {
		if (fnmatch(*patterns, name, 0) == 0)
			return true;
	}
	return false;
}
