/* SPDX-License-Identifier: MIT */
/*
 * Lines of IRC and their tags, of any bytes, against a second reading by the grammars of RFC 2812
 * (section 2.3.1) and of message-tags; and lines that are made: each is one, whole, and no shorter
 * than it need be. What is read, written and read again is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "chat/irc-tags.h"
#include "chat/irc.h"
#include "chat/utf8.h"
#include "naive.h"
#include "sweep.h"

#define TEXT_MAX  (IRC_LINE_MAX - 2)
#define INPUT_MAX 16384 /* more than any line has */

/* --- a line ----------------------------------------------------------------------------- */

struct reading {
	bool has_tags;
	struct piece tags, command, params[IRC_PARAMS_MAX];
	int n_params;
};

/* The next word from *at on, which moves behind it; its size is 0 at the end. */
static struct piece next_word(const char *text, size_t size, size_t *at)
{
	struct piece word = { .at = NULL };

	while (*at < size && text[*at] == ' ')
		++*at;
	word.at = text + *at;
	while (*at < size && text[*at] != ' ') {
		++*at;
		word.size++;
	}
	return word;
}

/* [ "@" tags SPACE ] [ ":" source SPACE ] command params. False: there is no command. */
static bool read_line(const char *text, size_t size, struct reading *r)
{
	size_t at = 0;
	struct piece word = next_word(text, size, &at);

	*r = (struct reading){ .n_params = 0 };
	if (word.size > 0 && word.at[0] == '@') {
		r->has_tags = true;
		r->tags = (struct piece){ word.at + 1, word.size - 1 };
		word = next_word(text, size, &at);
	}
	if (word.size > 0 && word.at[0] == ':')
		word = next_word(text, size, &at);
	if (word.size == 0 || word.at[0] == ':')
		return false;
	r->command = word;
	while ((word = next_word(text, size, &at)).size > 0) {
		bool colon = word.at[0] == ':';

		if (colon || r->n_params == IRC_PARAMS_MAX - 1) { /* trailing: all the rest */
			word.at += colon;
			word.size = text + size - word.at;
			r->params[r->n_params++] = word;
			break;
		}
		r->params[r->n_params++] = word;
	}
	return true;
}

static void check_same(const struct irc_message *m, const struct reading *r)
{
	MUST((m->tags != NULL) == r->has_tags);
	MUST(!m->tags || piece_is(&r->tags, m->tags));
	MUST(piece_is(&r->command, m->command));
	MUST(m->n_params == r->n_params && m->n_params <= IRC_PARAMS_MAX);
	for (int i = 0; i < m->n_params; i++)
		MUST(piece_is(&r->params[i], m->params[i]));
}

static void check_inside(const char *part, const char *line, size_t size)
{
	MUST(part >= line && part + strlen(part) <= line + size);
}

/* What was read, in one form: a source keeps a command that begins with '@' from being tags. */
static char *write_line(const struct irc_message *m, size_t room)
{
	char *line = malloc(room);
	size_t n = 0;

	MUST(line);
	if (m->tags)
		n += snprintf(line + n, room - n, "@%s ", m->tags);
	n += snprintf(line + n, room - n, ":s %s", m->command);
	for (int i = 0; i < m->n_params; i++)
		n += snprintf(line + n, room - n, i == m->n_params - 1 ? " :%s" : " %s",
			      m->params[i]);
	MUST(n < room);
	return line;
}

static void check_line(const char *text, size_t size)
{
	_cleanup_free_ char *line = naive_copy(text, size), *written = NULL;
	_cleanup_free_ char *copy = NULL;
	struct irc_message m = { .n_params = -1 };
	struct reading r, again;
	int result = irc_parse(line, &m);

	MUST((result == 0) == read_line(text, size, &r));
	if (result < 0)
		return;
	if (m.tags)
		check_inside(m.tags, line, size);
	check_inside(m.command, line, size);
	for (int i = 0; i < m.n_params; i++)
		check_inside(m.params[i], line, size);
	check_same(&m, &r);

	written = write_line(&m, size + 8);
	copy = naive_copy(written, strlen(written));
	MUST(read_line(written, strlen(written), &again));
	check_same(&m, &again);
	MUST(irc_parse(copy, &m) == 0);
	check_same(&m, &r);
}

/* --- tags ------------------------------------------------------------------------------- */

/* The next of tags, from *at on; false at the end. Empty ones are passed over. */
static bool next_tag(const char *tags, size_t *at, struct piece *tag, struct piece *key)
{
	do {
		if (!tags[*at])
			return false;
		*tag = (struct piece){ tags + *at, 0 };
		while (tags[*at] && tags[*at] != ';') {
			++*at;
			tag->size++;
		}
		if (tags[*at])
			++*at;
	} while (tag->size == 0);
	*key = (struct piece){ tag->at, 0 };
	while (key->size < tag->size && key->at[key->size] != '=')
		key->size++;
	return true;
}

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* "+" [ vendor "/" ] name: a name has no dots, neither part is empty. */
static bool is_key_of_client(const struct piece *key)
{
	size_t slashes = 0, name = 0, vendor = 0;

	if (key->size == 0 || key->at[0] != '+')
		return false;
	for (size_t i = 1; i < key->size; i++) {
		char c = key->at[i];
		bool dot_in_vendor = c == '.' && memchr(key->at + i, '/', key->size - i);

		if (c == '/') {
			slashes++;
			vendor = name;
			name = 0;
		} else if (is_letter_or_digit(c) || c == '-' || dot_in_vendor) {
			name++;
		} else {
			return false;
		}
	}
	return name > 0 && (slashes == 0 || (slashes == 1 && vendor > 0));
}

static void check_value(const char *tags, const struct piece *wanted)
{
	_cleanup_free_ char *key = naive_copy(wanted->at, wanted->size);
	struct piece tag, at_key, value = { "", 0 };
	bool found = false;
	size_t at = 0;

	while (next_tag(tags, &at, &tag, &at_key)) {
		if (!piece_is(&at_key, key))
			continue;
		found = true;
		value.size = tag.size - at_key.size;
		value.at = at_key.at + at_key.size;
		if (value.size > 0) { /* the '=' */
			value.at++;
			value.size--;
		}
	}
	for (size_t room = 1; room <= 256; room *= 4) {
		_cleanup_free_ char *buf = malloc(room);
		bool fits = found && value.size < room;

		MUST(buf && irc_tag_value(tags, key, buf, room) == fits);
		MUST(fits ? piece_is(&value, buf) : buf[0] == '\0');
	}
}

static void check_tags_of_client(const char *tags, size_t room)
{
	_cleanup_free_ char *buf = malloc(room), *again = malloc(room), *expected = malloc(room);
	struct piece tag, key;
	size_t at = 0, used = 0;

	MUST(buf && again && expected);
	while (next_tag(tags, &at, &tag, &key)) {
		if (!is_key_of_client(&key) || used + (used > 0) + tag.size >= room)
			continue;
		if (used > 0)
			expected[used++] = ';';
		memcpy(expected + used, tag.at, tag.size);
		used += tag.size;
	}
	expected[used] = '\0';
	MUST(irc_tags_of_client(tags, buf, room) == used && strcmp(buf, expected) == 0);
	MUST(irc_tags_of_client(buf, again, room) == used && strcmp(again, expected) == 0);
}

static void check_tags(const char *tags)
{
	static const size_t rooms[] = { 1, 2, 3, 8, 40, IRC_TAGS_MAX };
	struct piece tag, key = { "label", 5 };
	size_t at = 0;

	check_value(tags, &key);
	for (int i = 0; i < 8 && next_tag(tags, &at, &tag, &key); i++) {
		check_value(tags, &key);
		if (key.size > 1) { /* the start of a key is another key */
			key.size--;
			check_value(tags, &key);
		}
	}
	for (size_t i = 0; i < ELEMENTSOF(rooms); i++)
		check_tags_of_client(tags, rooms[i]);
}

/* A value as message-tags has it written, NUL-terminated, and read. */
static char *escape(const char *text)
{
	static const char from[] = ";\\ \r\n", to[] = ":\\srn";
	char *value = malloc(2 * strlen(text) + 1), *end = value;

	MUST(value);
	for (; *text; text++) {
		const char *at = strchr(from, *text);

		if (at) {
			*end++ = '\\';
			*end++ = to[at - from];
		} else {
			*end++ = *text;
		}
	}
	*end = '\0';
	return value;
}

static void unescape(char *value)
{
	static const char from[] = ":\\srn", to[] = ";\\ \r\n";
	char *end = value;

	for (; *value; value++) {
		if (value[0] == '\\') {
			const char *at = value[1] ? strchr(from, value[1]) : NULL;

			if (at)
				*end++ = to[at - from];
			value += at ? 1 : 0;
		} else {
			*end++ = *value;
		}
	}
	*end = '\0';
}

/* Whatever a client may want to say in a value arrives: it is handed on as it was written. */
static void check_value_is_handed_on(const char *text)
{
	_cleanup_free_ char *value = escape(text);
	size_t room = 2 * strlen(value) + 64;
	_cleanup_free_ char *line = malloc(room), *got = malloc(room), *client = malloc(room);
	struct irc_message m;

	MUST(line && got && client);
	snprintf(line, room, "@+a=b;label=1;+x/y=%s;label=%s PING", value, value);
	MUST(irc_parse(line, &m) == 0 && strcmp(m.command, "PING") == 0);
	MUST(irc_tag_value(m.tags, "label", got, room));
	unescape(got);
	MUST(strcmp(got, text) == 0);
	MUST(irc_tags_of_client(m.tags, client, room) > 0);
	MUST(irc_tag_value(client, "+x/y", got, room) && strcmp(got, value) == 0);
}

/* --- lines that are made ---------------------------------------------------------------- */

static void check_is_line(const struct irc_line *line)
{
	MUST(line->size >= 2 && line->size <= IRC_LINE_MAX);
	MUST(memcmp(line->bytes + line->size - 2, "\r\n", 2) == 0);
}

/* text is UTF-8. */
static void check_format(const char *text)
{
	size_t size = naive_cut(text, strlen(text), TEXT_MAX);
	struct irc_line line;

	irc_format(&line, "%s", text);
	check_is_line(&line);
	MUST(line.size == size + 2 && memcmp(line.bytes, text, size) == 0);
}

/* Words of a list, as the room sends them: joined they are the list again, line by line. */
static void check_words(const char *text, const char *head)
{
	char expected[TEXT_MAX + 1];
	size_t at = 0, size = strlen(text), n = strlen(head);
	bool first = true;
	struct irc_line line;
	struct piece word;

	memcpy(expected, head, n);
	irc_words_begin(&line, "%s", head);
	while ((word = next_word(text, size, &at)).size > 0) {
		size_t blank = !first;

		if (n + blank + word.size > TEXT_MAX) {
			MUST(!irc_words_append(&line, word.at, word.size));
			irc_words_end(&line);
			check_is_line(&line);
			MUST(line.size == n + 2 && memcmp(line.bytes, expected, n) == 0);
			irc_words_begin(&line, "%s", head);
			n = strlen(head);
			blank = 0;
			first = true;
			if (n + word.size > TEXT_MAX) {
				MUST(!irc_words_append(&line, word.at, word.size));
				continue;
			}
		}
		MUST(irc_words_append(&line, word.at, word.size));
		if (blank)
			expected[n++] = ' ';
		memcpy(expected + n, word.at, word.size);
		n += word.size;
		first = false;
	}
	irc_words_end(&line);
	check_is_line(&line);
	MUST(line.size == n + 2 && memcmp(line.bytes, expected, n) == 0);
}

/* Where text is cut that is too long for one line; it is UTF-8. */
static void check_fit(const char *text, size_t head)
{
	size_t size = strlen(text), room = head < TEXT_MAX ? TEXT_MAX - head : 0;

	while (size > 0) {
		size_t n = irc_fit(text, size, head), most = naive_cut(text, size, room);

		MUST(n > 0 && n <= size && naive_is_utf8(text, n));
		if (size <= room) {
			MUST(n == size);
		} else if (most == 0) { /* a character too long is better than none */
			MUST(n == naive_character(text, size));
		} else if (n == most) {
			MUST(text[n - 1] == ' ' || !memchr(text + n - n / 4, ' ', n / 4));
		} else {
			MUST(n < most && n > most - most / 4 && text[n - 1] == ' ');
			MUST(!memchr(text + n, ' ', most - n));
		}
		text += n;
		size -= n;
	}
}

static void check_ctcp(const char *text)
{
	size_t size = strlen(text), rest_size = 0;
	const char *rest = irc_action(text, &rest_size);
	bool action = size >= 8 && memcmp(text, "\1ACTION ", 8) == 0;

	MUST((rest != NULL) == action);
	if (action) {
		bool closed = size > 8 && text[size - 1] == '\1';

		MUST(rest == text + 8 && rest_size == size - 8 - closed);
	}
	MUST(irc_is_ctcp(text) == (size > 1 && text[0] == '\1' && text[1] != '\1'));
}

/* Each separator ends an item; what is behind the last one is an item if there is any. */
static void check_items(const char *text, char separator)
{
	_cleanup_free_ char *copy = naive_copy(text, strlen(text));
	char *list = copy, *item;
	size_t at = 0, size = strlen(text);

	while ((item = irc_next_item(&list, separator)) != NULL) {
		const char *end = memchr(text + at, separator, size - at);
		struct piece expected = { text + at, (end ? end : text + size) - (text + at) };

		MUST(item == copy + at && piece_is(&expected, item));
		at += expected.size + (end ? 1 : 0);
	}
	MUST(at == size);
}

/* --- all -------------------------------------------------------------------------------- */

/* NUL, CR and LF end a line before it gets here. */
static size_t line_size(const uint8_t *data, size_t size)
{
	size_t n = 0;

	while (n < size && n < INPUT_MAX && data[n] && data[n] != '\r' && data[n] != '\n')
		n++;
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n = line_size(data, size);
	_cleanup_free_ char *text = naive_copy(data, n), *valid = naive_repair(data, n);
	_cleanup_free_ char *word = naive_copy(text, strcspn(text, " ")); /* tags have no blank */

	check_line(text, n);
	check_tags(word[0] == '@' ? word + 1 : word);
	check_value_is_handed_on(text);
	check_format(valid);
	check_words(text, ":s 302 n :");
	check_words(text, ":s 322 n ");
	check_fit(valid, n % 600);
	check_fit(valid, 0);
	check_ctcp(text);
	check_items(text, ',');
	check_items(text, ' ');
	return 0;
}

#ifndef FUZZING
/* Around the sizes of a line, of its last quarter, and of several lines. */
static void sweep_long(const char *piece, size_t shift)
{
	static const size_t sizes[] = { 128, 382, IRC_LINE_MAX, 895, 1020, 1400 };
	char text[1400 + 64];

	memset(text, 'x', shift);
	for (size_t i = shift, size = strlen(piece); i < sizeof(text); i++)
		text[i] = piece[(i - shift) % size];
	for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
		for (size_t n = sizes[i] - 24; n < sizes[i] + 24; n++)
			LLVMFuzzerTestOneInput((const uint8_t *)text, n);
	}
}

int main(void)
{
	static const char *const seeds[] = {
		"PRIVMSG #a :hello  : you",
		"  MODE   #a  +o   bob ",
		"@time=1;+x=y :source JOIN #a",
		"@+draft/reply=123;label=a\\:b\\s;+example.com/foo;;label=2;=;+=x TAGMSG b",
		":a!b@c 421 :d ",
		":source :no command",
		"@label=1 @command x",
		"C 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 :17",
		"a=+b@2001:db8:: c=+d@2001:db8::1 ,x,,y,",
		"\1ACTION waves\1",
		"+a.b/c;+a/b/c;+/a;+a/;+a.b;+a-b/c=\\",
		"中文 \xff\xe4\xb8 😀",
	};
	static const char *const pieces[] = { "x", "中", "a b ",
					      "12345678901234567890:  ", "+abc/d=e;" };

	for (size_t i = 0; i < ELEMENTSOF(seeds); i++)
		sweep((const uint8_t *)seeds[i], strlen(seeds[i]), 3000);
	for (size_t i = 0; i < ELEMENTSOF(pieces); i++) {
		for (size_t shift = 0; shift < 3; shift++)
			sweep_long(pieces[i], shift);
	}
	return 0;
}
#endif
