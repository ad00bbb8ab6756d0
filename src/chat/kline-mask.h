/* SPDX-License-Identifier: MIT */
/*
 * The masks of K-lines: user@host, where the host has wildcards, or is an address, or a network:
 *
 *	~spam*@*	*@192.0.2.7	*@192.0.2.0/24	*@2001:db8::/32	*@*.hhhhhh.ip
 *
 * Addresses and networks are compared as such, however they are written, with the real address;
 * the rest as text, with that and with the cloak. Pure.
 */
#ifndef FOSTER_CHAT_KLINE_MASK_H
#define FOSTER_CHAT_KLINE_MASK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define KLINE_MAX 100 /* bytes of a mask */

struct room_config;

struct kline_network {
	int family; /* 0: the host is none */
	unsigned prefix;
	uint8_t address[16];
};

/*
 * A mask, to which "*@" is added if there is no user, and its network. -EINVAL with what would be
 * right: it is none, or can fit nobody, or fits almost everybody who could come into that room.
 */
int kline_read(const char *text, const struct room_config *config, char mask[KLINE_MAX + 1],
	       struct error *e);

/* Of a mask that may be older than the rules: without a network if the host is none. */
struct kline_network kline_network(const char *mask);

/* host: what is shown; address: where it is in truth. */
bool kline_fits(const char *mask, const struct kline_network *network, const char *user,
		const char *host, const char *address);

/* Could it be a mask or a host, rather than a time or a nick? */
bool kline_is_like_mask(const char *text);

/* "5min", "5m", "1d 12h", "90": minutes. 0 is for ever. -EINVAL, -ERANGE: above ten years. */
int kline_read_time(const char *text, uint64_t *ret_usec);

#endif
