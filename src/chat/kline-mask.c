/* SPDX-License-Identifier: MIT */
/* The masks of K-lines: see kline-mask.h. */
#include "chat/kline-mask.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "base/units.h"
#include "chat/names.h"
#include "chat/room.h"
#include "chat/utf8.h"

#define TIME_MAX    (UINT64_C(10) * 366 * 24 * 60 * 60 * USEC_PER_SEC)
#define SHOWN       60 /* bytes of a mask in an error */
#define SAMPLES     64 /* of those who could come, of each kind */
#define USER_MAX    16
#define COURSE_USER "udp"

/* --- reading ------------------------------------------------------------------------------ */

int kline_read_time(const char *text, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789");
	char minutes[32];
	uint64_t usec;
	int r;

	if (n > 0 && n < 16 && (text[n] == '\0' || strcmp(text + n, "m") == 0)) {
		snprintf(minutes, sizeof(minutes), "%.*smin", (int)n, text);
		text = minutes;
	}
	r = parse_duration(text, &usec);
	if (r == 0 && usec != USEC_INFINITY && usec > TIME_MAX)
		r = -ERANGE;
	if (r == 0)
		*ret = usec == USEC_INFINITY ? 0 : usec;
	return r;
}

bool kline_is_like_mask(const char *text)
{
	return strpbrk(text, "@.:*?/") && !strchr(text, ' ');
}

static unsigned bits(int family)
{
	return family == AF_INET ? 32 : 128;
}

/* -EINVAL: the host is neither address nor network. */
static int read_network(const char *host, struct kline_network *ret)
{
	struct kline_network n = { .family = strchr(host, ':') ? AF_INET6 : AF_INET };
	const char *slash = strchr(host, '/');
	char address[INET6_ADDRSTRLEN];
	int64_t prefix = bits(n.family);
	int size = slash ? (int)(slash - host) : (int)strlen(host);

	if (size >= (int)sizeof(address))
		return -EINVAL;
	snprintf(address, sizeof(address), "%.*s", size, host);
	if (inet_pton(n.family, address, n.address) != 1 ||
	    (slash && parse_int(slash + 1, 0, prefix, &prefix) < 0))
		return -EINVAL;
	n.prefix = (unsigned)prefix;
	*ret = n;
	return 0;
}

struct kline_network kline_network(const char *mask)
{
	const char *at = strrchr(mask, '@');
	struct kline_network network = { .family = 0 };

	if (at)
		read_network(at + 1, &network);
	return network;
}

/* --- fitting ------------------------------------------------------------------------------ */

static bool has_address(const struct kline_network *n, const char *address)
{
	uint8_t bytes[16];
	unsigned whole = n->prefix / 8, rest = n->prefix % 8;

	if (inet_pton(n->family, address, bytes) != 1 || memcmp(bytes, n->address, whole) != 0)
		return false;
	return rest == 0 || ((bytes[whole] ^ n->address[whole]) >> (8 - rest)) == 0;
}

static bool fits_user(const char *mask, const char *user)
{
	char part[KLINE_MAX + 1];
	const char *at = strrchr(mask, '@');

	snprintf(part, sizeof(part), "%.*s", at ? (int)(at - mask) : 0, mask);
	return name_matches(part, user);
}

static bool fits_text(const char *mask, const char *user, const char *host)
{
	char name[ROOM_NICK_MAX + ROOM_HOST_MAX + 2];

	snprintf(name, sizeof(name), "%s@%s", user, host);
	return name_matches(mask, name);
}

bool kline_fits(const char *mask, const struct kline_network *network, const char *user,
		const char *host, const char *address)
{
	if (network->family)
		return fits_user(mask, user) && has_address(network, address);
	return fits_text(mask, user, host) || fits_text(mask, user, address);
}

/* --- who could come ------------------------------------------------------------------------ */

/* As good as any for this: what comes out is the same each time. */
static uint32_t next_number(uint32_t *state)
{
	*state = *state * 1664525U + 1013904223U;
	return *state >> 8;
}

static void make_user(uint32_t *state, char user[USER_MAX])
{
	size_t n = 2 + next_number(state) % 8;

	user[0] = '~';
	for (size_t i = 1; i <= n; i++)
		user[i] = (char)('a' + next_number(state) % 26);
	user[n + 1] = '\0';
}

static void make_address(uint32_t *state, int family, char text[INET6_ADDRSTRLEN])
{
	static const uint16_t blocks[] = { 0x2001, 0x2003, 0x2400, 0x2409, 0x2600, 0x2604,
					   0x2804, 0x2a00, 0x2a01, 0x2a02, 0x2c0f, 0xfd00 };
	uint8_t bytes[16];
	uint16_t block = blocks[next_number(state) % ELEMENTSOF(blocks)];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next_number(state);
	if (family == AF_INET) {
		bytes[0] = (uint8_t)(1 + next_number(state) % 223);
	} else {
		bytes[0] = (uint8_t)(block >> 8);
		bytes[1] = (uint8_t)block;
	}
	inet_ntop(family, bytes, text, INET6_ADDRSTRLEN);
}

enum place {
	PLACE_IPV4,
	PLACE_IPV6,
	PLACE_LOOPBACK,
	PLACES
};

/* Does it fit more than a quarter of those who come through that door from such a place? */
static bool fits_most(const char *mask, const struct kline_network *network,
		      const struct room_config *config, enum place place, bool course)
{
	static const char *const loopback[] = { "127.0.0.1", "::1" };
	uint32_t state = 1 + place;
	int n = 0;

	for (int i = 0; i < SAMPLES; i++) {
		char user[USER_MAX] = COURSE_USER, address[INET6_ADDRSTRLEN], host[ROOM_HOST_MAX];

		if (!course)
			make_user(&state, user);
		if (place == PLACE_LOOPBACK)
			snprintf(address, sizeof(address), "%s", loopback[i % 2]);
		else
			make_address(&state, place == PLACE_IPV4 ? AF_INET : AF_INET6, address);
		snprintf(host, sizeof(host), "%s", address);
		if (config->cloak)
			config->cloak(config->cloak_key, address, host, sizeof(host));
		n += kline_fits(mask, network, user, host, address);
	}
	return n > SAMPLES / 4;
}

static bool fits_almost_everybody(const char *mask, const struct kline_network *network,
				  const struct room_config *config)
{
	for (enum place place = 0; place < PLACES; place++) {
		if (place == PLACE_LOOPBACK && !config->on_loopback)
			continue;
		if (fits_most(mask, network, config, place, false) ||
		    fits_most(mask, network, config, place, true))
			return true;
	}
	return false;
}

/* --- what is taken -------------------------------------------------------------------------- */

static int refuse(struct error *e, const char *text, const char *why)
{
	return error_set(e, -EINVAL, "\"%.*s\" %s", (int)utf8_cut(text, strlen(text), SHOWN), text,
			 why);
}

static bool can_be_user(const char *mask)
{
	return strchr("~*?", mask[0]) || fits_user(mask, COURSE_USER);
}

int kline_read(const char *text, const struct room_config *config, char mask[KLINE_MAX + 1],
	       struct error *e)
{
	const char *at = strrchr(text, '@'), *host = at ? at + 1 : text;
	struct kline_network network = { .family = 0 };
	char whole[KLINE_MAX + 1];

	if (strlen(text) > KLINE_MAX - 2 || strpbrk(text, "! ,") || text[0] == ':' || at == text ||
	    !*host)
		return refuse(e, text, "is no mask; that is user@host, as in ~spam*@192.0.2.7");
	snprintf(whole, sizeof(whole), "%s%s", at ? "" : "*@", text);
	if (read_network(host, &network) < 0 && strchr(host, '/'))
		return refuse(e, text,
			      "is no network; one is an address with /n, as in *@192.0.2.0/24 or "
			      "*@2001:db8::/32");
	if (!strpbrk(host, ".:*?"))
		return refuse(e, text,
			      "has neither an address nor a cloak and fits nobody; WHOIS shows "
			      "where a nick is, as in *@192.0.2.7");
	if (!can_be_user(whole))
		return refuse(e, text,
			      "fits nobody: users begin with ~, as in ~zed@*, and those of the "
			      "course are " COURSE_USER);
	if (fits_almost_everybody(whole, &network, config))
		return refuse(e, text, "would keep out almost everybody");
	strcpy(mask, whole);
	return 0;
}
