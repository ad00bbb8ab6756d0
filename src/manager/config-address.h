/* SPDX-License-Identifier: MIT */
/* Addresses of sockets as a config writes them. Pure but for the names of interfaces. */
#ifndef FOSTER_MANAGER_CONFIG_ADDRESS_H
#define FOSTER_MANAGER_CONFIG_ADDRESS_H

#include "base/error.h"
#include "manager/config.h"

/*
 * "127.0.0.1:6667", "[::1]:6667", "[fe80::1%eth0]:6667", "6667" and "*:6667" (all addresses,
 * IPv4 too), "/run/x". Fills all of ret but text. 0, or -EINVAL with the error's text.
 */
int socket_address_parse(const char *text, struct socket_address *ret, struct error *e);

/* Order by family, address and port: 0 when both name the same. */
int socket_address_compare(const struct socket_address *a, const struct socket_address *b);

#endif
