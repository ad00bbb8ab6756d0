/* SPDX-License-Identifier: MIT */
/* Addresses: see config-address.h. */
#include "manager/config-address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>

#include "base/units.h"

#define FORMS                                                                            \
	"an address is \"127.0.0.1:6667\", \"[::1]:6667\", \"6667\" for all addresses, " \
	"or the absolute path of a Unix socket"

static int refuse(const char *text, const char *what, struct error *e)
{
	return error_set(e, -EINVAL, "\"%.64s\": %s; " FORMS, text, what);
}

static int parse_unix(const char *text, struct socket_address *ret, struct error *e)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret->address;
	size_t size = strlen(text);

	if (size >= sizeof(un->sun_path))
		return error_set(e, -EINVAL,
				 "\"%.128s\": the path of a Unix socket has at most %zu bytes, "
				 "this has %zu",
				 text, sizeof(un->sun_path) - 1, size);
	if (text[size - 1] == '/')
		return refuse(text, "this is a directory", e);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, text, size + 1);
	ret->length = offsetof(struct sockaddr_un, sun_path) + size + 1;
	return 0;
}

static void set_ipv6(struct socket_address *ret, struct in6_addr address, uint32_t scope)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ret->address;

	in6->sin6_family = AF_INET6;
	in6->sin6_addr = address;
	in6->sin6_scope_id = scope;
	ret->length = sizeof(*in6);
}

/* host is "::1" or "fe80::1%eth0", without its brackets. */
static int parse_ipv6(char *host, struct socket_address *ret)
{
	struct in6_addr address;
	char *interface = strchr(host, '%');
	uint32_t scope = 0;

	if (interface) {
		*interface++ = '\0';
		scope = if_nametoindex(interface);
		if (scope == 0)
			return -EINVAL;
	}
	if (inet_pton(AF_INET6, host, &address) != 1)
		return -EINVAL;
	set_ipv6(ret, address, scope);
	return 0;
}

static int parse_host(char *host, struct socket_address *ret)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&ret->address;
	size_t size = strlen(host);

	if (strcmp(host, "*") == 0) {
		set_ipv6(ret, in6addr_any, 0);
		return 0;
	}
	if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
		host[size - 1] = '\0';
		return parse_ipv6(host + 1, ret);
	}
	if (inet_pton(AF_INET, host, &in->sin_addr) != 1)
		return -EINVAL;
	in->sin_family = AF_INET;
	ret->length = sizeof(*in);
	return 0;
}

static void set_port(struct socket_address *ret, uint16_t port)
{
	/* In sockaddr_in and sockaddr_in6 the port has the same place. */
	((struct sockaddr_in *)&ret->address)->sin_port = htons(port);
}

int socket_address_parse(const char *text, struct socket_address *ret, struct error *e)
{
	_cleanup_free_ char *host = strdup(text);
	struct socket_address result = { .text = ret->text };
	char *port = host ? strrchr(host, ':') : NULL;
	int64_t number;
	int r;

	if (!host)
		return error_set(e, -ENOMEM, "out of memory");
	if (text[0] == '/') {
		r = parse_unix(text, &result, e);
		if (r < 0)
			return r;
	} else {
		if (port)
			*port++ = '\0';
		if (parse_int(port ? port : host, 1, 65535, &number) < 0)
			return refuse(text, "the port is missing or not a number from 1 to 65535",
				      e);
		if (!port)
			set_ipv6(&result, in6addr_any, 0);
		else if (parse_host(host, &result) < 0)
			return refuse(
				text,
				"that is no address of IPv4 or IPv6 (names are not looked up)", e);
		set_port(&result, (uint16_t)number);
	}
	*ret = result;
	return 0;
}

int socket_address_compare(const struct socket_address *a, const struct socket_address *b)
{
	if (a->length != b->length)
		return a->length < b->length ? -1 : 1;
	return memcmp(&a->address, &b->address, a->length);
}
