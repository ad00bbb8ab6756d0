/* SPDX-License-Identifier: MIT */
/*
 * Base64 and SCRAM's messages, of any bytes, against a second reading by RFC 4648 and by the
 * grammar of RFC 5802, section 7. The byte 0xff ends the client's first message; what follows is
 * taken for its last one, and for extensions of a good one.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/base64.h"
#include "base/macro.h"
#include "chat/scram.h"
#include "naive.h"
#include "sweep.h"

#define INPUT_MAX 4096
#define FINAL_MAX (3 * SCRAM_MESSAGE_MAX - 1)
#define OUR_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"

/* --- base64 ----------------------------------------------------------------------------- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool bit_of(const uint8_t *data, size_t size, size_t bit)
{
	return bit / 8 < size && (data[bit / 8] >> (7 - bit % 8) & 1);
}

/* Six bits a letter, four letters a group; to be freed. */
static char *write_base64(const uint8_t *data, size_t size)
{
	size_t n = (size + 2) / 3 * 4;
	char *text = malloc(n + 1);

	MUST(text);
	for (size_t i = 0; i < n; i++) {
		unsigned value = 0;

		for (size_t k = 0; k < 6; k++)
			value = value << 1 | bit_of(data, size, i * 6 + k);
		text[i] = i * 6 < size * 8 ? letters[value] : '=';
	}
	text[n] = '\0';
	return text;
}

/* There is one way to write a thing: what is read is written as it was, or nothing is read. */
static ssize_t read_base64(uint8_t *data, const char *text, size_t size)
{
	_cleanup_free_ char *again = NULL;
	uint32_t bits = 0;
	size_t n = 0, used = 0;

	for (size_t i = 0; i < size; i++) {
		const char *letter = text[i] ? strchr(letters, text[i]) : NULL;

		if (!letter)
			break;
		bits = (bits << 6 | (uint32_t)(letter - letters)) & 0xfff;
		n += 6;
		if (n >= 8) {
			n -= 8;
			data[used++] = (uint8_t)(bits >> n);
		}
	}
	again = write_base64(data, used);
	return strlen(again) == size && memcmp(again, text, size) == 0 ? (ssize_t)used : -EINVAL;
}

static void check_base64(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = malloc(BASE64_SIZE(size) + 1), *expected = NULL;
	_cleanup_free_ uint8_t *again = malloc(size + 3), *read = malloc(size + 1);
	_cleanup_free_ uint8_t *exact = malloc(size / 4 * 3 + 1);
	ssize_t n;

	MUST(text && again && read && exact);
	expected = write_base64(data, size);
	MUST(base64_encode(text, data, size) == BASE64_SIZE(size) && strcmp(text, expected) == 0);
	n = base64_decode(again, text, strlen(text));
	MUST(n == (ssize_t)size && (n == 0 || memcmp(again, data, size) == 0));
	/* The input as text. */
	n = base64_decode(exact, (const char *)data, size);
	MUST(n == read_base64(read, (const char *)data, size));
	MUST(n <= 0 || memcmp(exact, read, n) == 0);
}

/* --- messages --------------------------------------------------------------------------- */

/* The next part of the message, up to a comma or its end; false: there is none. */
static bool next_part(struct piece *rest, struct piece *part)
{
	if (!rest->at)
		return false;
	*part = (struct piece){ rest->at, 0 };
	while (part->size < rest->size && part->at[part->size] != ',')
		part->size++;
	if (part->size == rest->size) {
		rest->at = NULL;
	} else {
		rest->at += part->size + 1;
		rest->size -= part->size + 1;
	}
	return true;
}

static bool begins(const struct piece *part, const char *attribute)
{
	return part->size >= 2 && memcmp(part->at, attribute, 2) == 0;
}

/* saslname: UTF-8, but ',' and '=' are written "=2C" and "=3D". */
static bool read_name(const struct piece *part, char name[SCRAM_NAME_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 2; i < part->size; i++) {
		char c = part->at[i];

		if (c == '=') {
			if (i + 2 >= part->size)
				return false;
			if (memcmp(part->at + i, "=2C", 3) != 0 &&
			    memcmp(part->at + i, "=3D", 3) != 0)
				return false;
			c = part->at[i + 1] == '2' ? ',' : '=';
			i += 2;
		}
		if (n == SCRAM_NAME_MAX)
			return false;
		name[n++] = c;
	}
	name[n] = '\0';
	return n > 0 && naive_is_utf8(name, n);
}

static bool is_printable(const struct piece *part)
{
	for (size_t i = 2; i < part->size; i++) {
		if (part->at[i] < 0x21 || part->at[i] > 0x7e)
			return false;
	}
	return part->size > 2;
}

struct reading {
	char name[SCRAM_NAME_MAX + 1];
	struct piece gs2, bare, nonce;
};

/* What follows may be any extension but one that must be understood. */
static bool are_extensions(struct piece rest)
{
	struct piece part;

	while (next_part(&rest, &part)) {
		if (begins(&part, "m="))
			return false;
	}
	return true;
}

static bool read_first(const char *message, size_t size, struct reading *r)
{
	struct piece rest = { message, size }, part;
	char other[SCRAM_NAME_MAX + 1] = "";

	*r = (struct reading){ .name = "" };
	if (size > SCRAM_MESSAGE_MAX || memchr(message, '\0', size))
		return false;
	if (!next_part(&rest, &part) || (!piece_is(&part, "n") && !piece_is(&part, "y")))
		return false;
	if (!next_part(&rest, &part))
		return false;
	if (part.size > 0 && (!begins(&part, "a=") || !read_name(&part, other)))
		return false;
	if (!rest.at)
		return false;
	r->gs2 = (struct piece){ message, rest.at - message };
	r->bare = rest;
	if (!next_part(&rest, &part) || !begins(&part, "n=") || !read_name(&part, r->name))
		return false;
	if (other[0] && strcmp(other, r->name) != 0)
		return false;
	if (!next_part(&rest, &part) || !begins(&part, "r=") || !is_printable(&part))
		return false;
	r->nonce = (struct piece){ part.at + 2, part.size - 2 };
	return are_extensions(rest);
}

/* c=gs2 "," r=nonce [extensions] "," p=proof */
static bool read_final(const char *message, size_t size, const struct reading *first)
{
	_cleanup_free_ char *gs2 = write_base64((const uint8_t *)first->gs2.at, first->gs2.size);
	_cleanup_free_ char *nonce = malloc(first->nonce.size + sizeof(OUR_NONCE));
	struct piece rest = { message, size }, part;
	uint8_t proof[FINAL_MAX];

	MUST(nonce);
	memcpy(nonce, first->nonce.at, first->nonce.size);
	strcpy(nonce + first->nonce.size, OUR_NONCE);
	if (size > FINAL_MAX || memchr(message, '\0', size))
		return false;
	next_part(&rest, &part);
	if (!begins(&part, "c=") || part.size - 2 != strlen(gs2) ||
	    memcmp(part.at + 2, gs2, part.size - 2) != 0)
		return false;
	if (!next_part(&rest, &part) || !begins(&part, "r=") || part.size - 2 != strlen(nonce) ||
	    memcmp(part.at + 2, nonce, part.size - 2) != 0)
		return false;
	while (next_part(&rest, &part)) {
		if (begins(&part, "p="))
			return !rest.at &&
			       read_base64(proof, part.at + 2, part.size - 2) == SCRAM_KEY_SIZE;
		if (begins(&part, "m="))
			return false;
	}
	return false;
}

/* --- the exchange ----------------------------------------------------------------------- */

static const uint8_t client_key[SCRAM_KEY_SIZE] = "the key of the client, 32 bytes.";
static const uint8_t server_key[SCRAM_KEY_SIZE] = "the key of the server, 32 bytes.";

static void sign(const uint8_t key[SCRAM_KEY_SIZE], const char *text, uint8_t ret[SCRAM_KEY_SIZE])
{
	unsigned size = SCRAM_KEY_SIZE;

	MUST(HMAC(EVP_sha256(), key, SCRAM_KEY_SIZE, (const uint8_t *)text, strlen(text), ret,
		  &size));
}

/* Who knows the password, and says these extensions, is let in; and we prove ourselves. */
static void check_good_client(const struct scram *s, const struct reading *r,
			      const char *extensions)
{
	size_t room = 4 * SCRAM_MESSAGE_MAX + strlen(extensions);
	_cleanup_free_ char *text = malloc(room), *all = malloc(2 * room), *proof = NULL;
	_cleanup_free_ char *gs2 = write_base64((const uint8_t *)r->gs2.at, r->gs2.size);
	uint8_t signature[SCRAM_KEY_SIZE];
	char final[SCRAM_MESSAGE_MAX];
	size_t n;

	MUST(text && all);
	n = snprintf(text, room, "c=%s,r=%.*s%s%s%s", gs2, (int)r->nonce.size, r->nonce.at,
		     OUR_NONCE, *extensions ? "," : "", extensions);
	snprintf(all, 2 * room, "%.*s,%s,%s", (int)r->bare.size, r->bare.at, s->server_first, text);
	sign(s->keys.stored, all, signature);
	for (size_t i = 0; i < sizeof(signature); i++)
		signature[i] ^= client_key[i];
	proof = write_base64(signature, sizeof(signature));
	n += snprintf(text + n, room - n, ",p=%s", proof);
	MUST(n < room);
	if (!read_final(text, n, r)) {
		MUST(scram_final(s, text, n, final) == -EINVAL);
		return;
	}
	MUST(scram_final(s, text, n, final) == 0);
	sign(server_key, all, signature);
	free(TAKE_PTR(proof));
	proof = write_base64(signature, sizeof(signature));
	MUST(memcmp(final, "v=", 2) == 0 && strcmp(final + 2, proof) == 0);
	text[3] ^= 1; /* in the binding */
	MUST(scram_final(s, text, n, final) == -EINVAL);
	text[3] ^= 1;
	text[n - 10] = text[n - 10] == 'A' ? 'B' : 'A'; /* in the proof */
	MUST(scram_final(s, text, n, final) == -EACCES);
}

static void check_exchange(const char *first, size_t n_first, const char *last, size_t n_last)
{
	struct scram_keys keys = { .salt = "salt",
				   .salt_size = SCRAM_SALT_MAX,
				   .iterations = 4096 };
	_cleanup_free_ char *extensions = naive_copy(last, n_last), *salt = NULL;
	char name[SCRAM_NAME_MAX + 1], final[SCRAM_MESSAGE_MAX], expected[2 * SCRAM_MESSAGE_MAX];
	struct scram s;
	struct reading r;
	int result = scram_begin(&s, first, n_first, name);

	MUST(result == (read_first(first, n_first, &r) ? 0 : -EINVAL));
	if (result < 0)
		return;
	MUST(strcmp(name, r.name) == 0);
	SHA256(client_key, sizeof(client_key), keys.stored);
	memcpy(keys.server, server_key, sizeof(server_key));
	scram_challenge(&s, &keys, OUR_NONCE);
	salt = write_base64(keys.salt, keys.salt_size);
	snprintf(expected, sizeof(expected), "r=%.*s%s,s=%s,i=4096", (int)r.nonce.size, r.nonce.at,
		 OUR_NONCE, salt);
	MUST(strcmp(s.server_first, expected) == 0);
	result = scram_final(&s, last, n_last, final);
	MUST(read_final(last, n_last, &r) ? result == -EACCES : result == -EINVAL);
	check_good_client(&s, &r, extensions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const uint8_t *end;
	size_t n;

	size = MIN(size, INPUT_MAX);
	end = memchr(data, 0xff, size);
	n = end ? (size_t)(end - data) : size;
	check_base64(data, n);
	if (end) {
		check_base64(data + n + 1, size - n - 1);
		check_exchange(text, n, text + n + 1, size - n - 1);
	} else {
		check_exchange(text, n, "", 0);
	}
	return 0;
}

#ifndef FUZZING
/* Longer and longer names: between head and tail, and where there is a middle behind that, too. */
static void sweep_name(const char *piece, const char *head, const char *middle, const char *tail)
{
	char name[SCRAM_MESSAGE_MAX + 64] = "", seed[2 * sizeof(name) + 64];

	while (strlen(name) < SCRAM_MESSAGE_MAX) {
		strcat(name, piece);
		snprintf(seed, sizeof(seed), "%s%s%s%s%s", head, name, middle ? middle : "",
			 middle ? name : "", tail);
		LLVMFuzzerTestOneInput((const uint8_t *)seed, strlen(seed));
	}
}

int main(void)
{
#define NONCE "rOprNGfwEbeRWgbNEkqO" OUR_NONCE
	static const char *const seeds[] = {
		"n,,n=user,r=rOprNGfwEbeRWgbNEkqO\xff"
		"c=biws,r=" NONCE ",x=y,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
		"y,a=us=2Cer,n=us=2Cer,r=x,t=u\xfft=u,u=v",
		"n,,n=a=3D,r=x\xffm=x",
		"Zm9vYg==",
		"Zm9vYh==",
	};

	for (size_t i = 0; i < ELEMENTSOF(seeds); i++)
		sweep((const uint8_t *)seeds[i], strlen(seeds[i]), 3000);
	sweep_name("a", "n,a=", ",n=", ",r=x");
	sweep_name("=2C", "n,a=", ",n=", ",r=x");
	sweep_name("ü", "n,,n=", NULL, ",r=x");
	sweep_name("x", "n,,n=a,r=", "\xff", "=");
	return 0;
}
#endif
