/* SPDX-License-Identifier: MIT */
/* The fixed sweep: see sweep.h. */
#include "sweep.h"

#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

static uint64_t random_state = 20261123;

static uint32_t roll(uint32_t sides)
{
	random_state = random_state * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(random_state >> 33) % sides;
}

static void run(const uint8_t *data, size_t size)
{
	_cleanup_free_ uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	if (size > 0)
		memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
}

static void change_bytes(uint8_t *data, size_t size)
{
	static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };

	for (size_t i = 0; i < size; i++) {
		uint8_t good = data[i];

		for (size_t k = 0; k < ELEMENTSOF(values); k++) {
			data[i] = values[k];
			run(data, size);
		}
		data[i] = good;
	}
}

/* Lengths and counts are such words. The first byte chooses among targets, hence the 1. */
static void change_words(uint8_t *data, size_t size)
{
	static const uint32_t values[] = { 0,      1,       0xff,       0x100,      0x101,
					   0x1fff, 0x2000,  0x2001,     0x7fffffff, 0x80000000,
					   0xffff, 0x10000, 0xfffffffe, 0xffffffff };

	for (size_t i = 1; i + sizeof(uint32_t) <= size; i += sizeof(uint32_t)) {
		uint32_t good;

		memcpy(&good, data + i, sizeof(good));
		for (size_t k = 0; k < ELEMENTSOF(values); k++) {
			memcpy(data + i, &values[k], sizeof(good));
			run(data, size);
		}
		memcpy(data + i, &good, sizeof(good));
	}
}

static void change_at_random(const uint8_t *seed, size_t size, uint8_t *data)
{
	size_t length = size;

	memcpy(data, seed, size);
	for (uint32_t n = 1 + roll(8); n > 0 && length > 0; n--) {
		uint32_t at = roll(length);

		switch (roll(4)) {
		case 0: data[at] = (uint8_t)roll(256); break;
		case 1: data[at] ^= (uint8_t)(1U << roll(8)); break;
		case 2: memset(data + at, (int)roll(256), roll(length - at + 1)); break;
		default: length = roll(8) ? length : at; break;
		}
	}
	run(data, length);
}

void sweep(const uint8_t *seed, size_t size, unsigned random_rounds)
{
	_cleanup_free_ uint8_t *data = calloc(1, size ? size : 1);

	if (!data)
		abort();
	if (size > 0)
		memcpy(data, seed, size);
	for (size_t cut = 0; cut <= size; cut++)
		run(data, cut);
	change_bytes(data, size);
	change_words(data, size);
	for (unsigned i = 0; i < random_rounds; i++)
		change_at_random(seed, size, data);
}
