/* SPDX-License-Identifier: MIT */
/* Cloaks: see cloak.h. */
#include "chat/cloak.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PART_MAX 5 /* bytes */

/* n bytes of a sum of the kind of address and of its first bytes, as hexadecimal digits. */
static void part(const char *key, char kind, const void *address, size_t size, char *buf, size_t n)
{
	unsigned char sum[EVP_MAX_MD_SIZE] = { 0 };
	char text[128] = { kind };

	size = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
	memcpy(text + 1, address, size);
	HMAC(EVP_sha256(), key, (int)strlen(key), (unsigned char *)text, 1 + size, sum, NULL);
	for (size_t i = 0; i < n; i++)
		snprintf(buf + 2 * i, 3, "%02x", sum[i]);
}

void cloak_address(const char *key, const char *address, char *buf, size_t size)
{
	char first[2 * PART_MAX + 1], second[2 * PART_MAX + 1], third[2 * PART_MAX + 1];
	uint8_t bytes[16];

	if (inet_pton(AF_INET, address, bytes) == 1) {
		part(key, '4', bytes, 4, first, 5);
		part(key, '4', bytes, 3, second, 4);
		part(key, '4', bytes, 2, third, 3);
		snprintf(buf, size, "%s.%s.%s.ip", first, second, third);
	} else if (inet_pton(AF_INET6, address, bytes) == 1) {
		part(key, '6', bytes, 8, first, 5);
		part(key, '6', bytes, 6, second, 4);
		part(key, '6', bytes, 4, third, 3);
		snprintf(buf, size, "%s.%s.%s.ip6", first, second, third);
	} else {
		part(key, 'n', address, strlen(address), first, 5);
		snprintf(buf, size, "%s.host", first);
	}
}
