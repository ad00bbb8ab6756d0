/* SPDX-License-Identifier: MIT */
/* Characters beyond ASCII in names: see letters.h. */
#include "chat/letters.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unicase.h>
#include <uninorm.h>
#include <unictype.h>

#include "base/macro.h"
#include "base/text.h"

#define NORMAL_MAX 512 /* bytes: names are shorter */

struct range {
	uint32_t first, last;
};

/* What is a sign of its own for Unicode, and on the screen nothing, or another sign. */
static const struct range
	disguises[] = {
		{ 0x1c0, 0x1c3 }, /* clicks, drawn as | and ! */
		{ 0x185, 0x185 },
		{ 0x196, 0x196 },
		{ 0x1a6, 0x1a6 }, /* drawn as b, l, R and s */
		{ 0x1bd, 0x1bd },
		{ 0x251, 0x251 }, /* a, g, i and small capitals of phonetics */
		{ 0x261, 0x262 },
		{ 0x26a, 0x26a },
		{ 0x274, 0x274 },
		{ 0x280, 0x280 },
		{ 0x299, 0x299 },
		{ 0x29c, 0x29c },
		{ 0x29f, 0x29f },
		{ 0x2b0, 0x2ff }, /* letters that are marks: drawn as quotes, ^, ` and the like */
		{ 0x37a, 0x37a },
		{ 0x559, 0x559 },
		{ 0x640, 0x640 }, /* make a word longer */
		{ 0x7fa, 0x7fa },
		{ 0x1ce9, 0x1cfa }, /* signs of recitation */
		{ 0x1d00, 0x1dbf }, /* more of phonetics */
		{ 0x2100, 0x214f }, /* letters as symbols */
		{ 0x2460, 0x24ff }, /* in circles */
		{ 0x2800, 0x2800 }, /* no dots of Braille */
		{ 0x2d7f, 0x2d7f }, /* a joiner */
		{ 0x2e2f, 0x2e2f }, /* a tilde */
		{ 0x2e80, 0x2fdf }, /* parts of Chinese characters, each drawn as the whole one is */
		{ 0x3031, 0x3035 }, /* strokes that repeat, and one that masks */
		{ 0x303c, 0x303c },
		{ 0x31c0, 0x31ef }, /* their strokes */
		{ 0xa700, 0xa721 }, /* tones */
		{ 0xa788, 0xa78c }, /* drawn as ^, :, = and quotes */
		{ 0x263, 0x263 },
		{ 0x269, 0x269 },
		{ 0x28b, 0x28b }, /* drawn as y, i, u */
		{ 0x28f, 0x28f },
		{ 0x1e9d, 0x1e9d }, /* Y, f */
		{ 0xa730, 0xa731 },
		{ 0xa799, 0xa799 }, /* F, S, f */
		{ 0xa7ae, 0xa7af },
		{ 0xa7f7, 0xa7f7 }, /* I, Q, a dot */
		{ 0xa7fe, 0xa7fe },
		{ 0xab47, 0xab48 }, /* I, r */
		{ 0xab4e, 0xab4e },
		{ 0xab52, 0xab52 }, /* u */
		{ 0xab5a, 0xab5a }, /* y */
		{ 0xa78f, 0xa78f }, /* a dot */
		{ 0xa9cf, 0xa9cf },
		{ 0xfffc, 0xfffd },   /* stand for something else */
		{ 0x1107f, 0x1107f }, /* a joiner */
		{ 0x16fe4, 0x16fe4 }, /* a filler */
		{ 0x1d159, 0x1d159 }, /* a note without a head */
		{ 0x1f100, 0x1f1ff }, /* in boxes; flags are two letters */
	};

/* Scripts that are written together: one bit for each language, or rather writing. */
enum writing {
	JAPANESE = 1 << 0,
	BOPOMOFO = 1 << 1,
	KOREAN = 1 << 2,
	ANY_WRITING = JAPANESE | BOPOMOFO | KOREAN,
};

static const struct {
	const char *script;
	enum writing writing;
} together[] = {
	{ "Latin", ANY_WRITING }, { "Han", ANY_WRITING },   { "Hiragana", JAPANESE },
	{ "Katakana", JAPANESE }, { "Bopomofo", BOPOMOFO }, { "Hangul", KOREAN },
};

/* What was seen of a word so far. */
struct word {
	const char *script; /* of all letters; NULL: none yet, or those that go together */
	unsigned writing;   /* which of those it may still be */
	bool east_asian;    /* or Latin */
	bool own_digits, ascii_digits;
	bool takes_marks; /* the last one is a letter that marks belong to */
	uint32_t last;
};

static const struct word no_word = { .writing = ANY_WRITING };

static bool is_disguise(uint32_t code)
{
	for (size_t i = 0; i < ELEMENTSOF(disguises); i++) {
		if (code >= disguises[i].first && code <= disguises[i].last)
			return true;
	}
	return false;
}

static bool is_of(uint32_t code, uint32_t categories)
{
	return uc_is_general_category_withtable(code, categories);
}

/* No control, blank, private or unknown one. */
static bool is_drawn(uint32_t code)
{
	return !is_of(code, UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Z | UC_CATEGORY_MASK_Me) &&
	       !uc_is_property_default_ignorable_code_point(code) && !is_disguise(code);
}

static bool is_of_nick(uint32_t code)
{
	return is_of(code, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M | UC_CATEGORY_MASK_Nd) ||
	       code == 0x3007 /* the Chinese zero */ || uc_is_property_emoji_presentation(code);
}

static const char *script_of(uint32_t code)
{
	const uc_script_t *script = uc_script(code);

	if (code >= 0x660 && code <= 0x669) /* Arabic digits, which Unicode gives to all */
		return "Arabic";
	if (code == 0x30fc) /* a long vowel of kana of either kind */
		return "Katakana";
	return script ? script->name : "Unknown";
}

/* Of no script: signs, and marks that many have. */
static bool is_neutral(const char *script)
{
	return strcmp(script, "Common") == 0 || strcmp(script, "Inherited") == 0;
}

static unsigned writing_of(const char *script)
{
	for (size_t i = 0; i < ELEMENTSOF(together); i++) {
		if (strcmp(together[i].script, script) == 0)
			return together[i].writing;
	}
	return 0;
}

static bool goes_with(struct word *word, const char *script)
{
	unsigned writing = writing_of(script);

	if (writing == 0) {
		if (word->east_asian || (word->script && strcmp(word->script, script) != 0))
			return false;
		word->script = script;
		return true;
	}
	word->east_asian = true;
	word->writing &= writing;
	return !word->script && word->writing;
}

/* One mark twice is drawn as one, as are the dot of an i and another dot. */
static bool takes_mark(const struct word *word, uint32_t mark)
{
	bool dotted = word->last == 0x131 || word->last == 0x237 ||
		      uc_is_property_soft_dotted(word->last);

	return word->takes_marks && word->last != mark && !(mark == 0x307 && dotted);
}

/* Marks belong to letters of alphabets and of those like them. */
static bool has_marks(const char *script)
{
	return strcmp(script, "Latin") == 0 || (!is_neutral(script) && !writing_of(script));
}

static bool add_ascii(struct word *word, char c, enum letters_use use)
{
	bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
	bool digit = c >= '0' && c <= '9';

	if (use == LETTERS_OF_CHANNEL && !letter && !digit) {
		*word = no_word;
		return true;
	}
	word->ascii_digits |= digit;
	word->takes_marks = letter;
	word->last = (unsigned char)c;
	return (!letter || goes_with(word, "Latin")) && !(word->ascii_digits && word->own_digits);
}

static bool add(struct word *word, uint32_t code, enum letters_use use)
{
	const char *script = script_of(code);
	bool mark = is_of(code, UC_CATEGORY_MASK_M);

	if (!is_drawn(code) || (use == LETTERS_OF_NICK && !is_of_nick(code)))
		return false;
	if (mark && !takes_mark(word, code))
		return false;
	if (use == LETTERS_OF_CHANNEL && is_of(code, UC_CATEGORY_MASK_P | UC_CATEGORY_MASK_S)) {
		*word = no_word;
		return true;
	}
	word->own_digits |= is_of(code, UC_CATEGORY_MASK_Nd);
	word->last = code;
	if (!mark)
		word->takes_marks = has_marks(script);
	return (is_neutral(script) || goes_with(word, script)) &&
	       !(word->ascii_digits && word->own_digits);
}

static bool is_normal(const char *text, size_t size)
{
	uint8_t buf[NORMAL_MAX], *normal;
	size_t n = sizeof(buf);
	bool same;

	normal = u8_normalize(UNINORM_NFKC, (const uint8_t *)text, size, buf, &n);
	same = normal && n == size && memcmp(normal, text, size) == 0;
	if (normal != buf)
		free(normal);
	return same;
}

bool letters_are_plain(const char *text, size_t size, enum letters_use use)
{
	struct word word = no_word;
	size_t i = 0;

	while (i < size) {
		uint32_t code;
		size_t n = utf8_decode(text + i, size - i, &code);

		if (n == 0 || !(n == 1 ? add_ascii(&word, text[i], use) : add(&word, code, use)))
			return false;
		i += n;
	}
	return is_normal(text, size);
}

/* The Turkish i without a dot has the same capital as the other one. */
static size_t put_dots(char *to, const char *text, size_t size)
{
	static const char dotless[] = "\u0131";
	size_t n = 0, i = 0;

	while (i < size) {
		if (size - i >= 2 && memcmp(text + i, dotless, 2) == 0) {
			to[n++] = 'i';
			i += 2;
		} else {
			to[n++] = text[i++];
		}
	}
	return n;
}

size_t letters_fold(char *buf, size_t room, const char *text, size_t size)
{
	char dotted[NORMAL_MAX];
	uint8_t *folded;
	size_t n = room;

	if (size > sizeof(dotted))
		return 0;
	size = put_dots(dotted, text, size);
	folded = u8_casefold((const uint8_t *)dotted, size, NULL, UNINORM_NFKC, (uint8_t *)buf, &n);
	if (folded == (uint8_t *)buf)
		return n;
	free(folded);
	return 0;
}
