/* SPDX-License-Identifier: MIT */
/*
 * Characters beyond ASCII in names: which of them a name may be made of, so that it cannot be drawn
 * as another name is, and when two names differ in the case of letters alone. Pure; what Unicode
 * says of a character is libunistring's. Texts are valid UTF-8.
 */
#ifndef FOSTER_CHAT_LETTERS_H
#define FOSTER_CHAT_LETTERS_H

#include <stdbool.h>
#include <stddef.h>

enum letters_use {
	/* Letters with their marks, digits, emoji. All letters go together. */
	LETTERS_OF_NICK,
	/* Anything that can be seen. The letters of each word go together. */
	LETTERS_OF_CHANNEL,
};

/*
 * Is it normalized (NFKC), all of it drawn, no mark without its letter, and no letter among those
 * of another script? What in it is ASCII is not looked at but for that. False when out of memory.
 *
 * Letters that go together are of one script; and those of Chinese, Japanese or Korean with Latin.
 */
bool letters_are_plain(const char *text, size_t size, enum letters_use use);

/*
 * What is the same for texts that differ in the case of letters alone. Returns its size, at most
 * room; 0: out of memory, or it is longer.
 */
size_t letters_fold(char *buf, size_t room, const char *text, size_t size);

#endif
