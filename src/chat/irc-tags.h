/* SPDX-License-Identifier: MIT */
/*
 * Message tags of IRCv3, "key=value;key;+key=value", as they stand between '@' and the blank in
 * front of a line. Values are not unescaped: what comes in is handed on as it is. Pure.
 */
#ifndef FOSTER_CHAT_IRC_TAGS_H
#define FOSTER_CHAT_IRC_TAGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies the value of key, "" when it has none. False, and value is "": there is no such tag, or
 * its value does not fit. tags may be NULL. Of a key that comes twice the last one holds.
 */
bool irc_tag_value(const char *tags, const char *key, char *value, size_t size);

/*
 * Copies those that are between clients (their keys begin with '+') and that have a key that is
 * one. Returns the size without the NUL; what does not fit is left out whole.
 */
size_t irc_tags_of_client(const char *tags, char *buf, size_t size);

#endif
