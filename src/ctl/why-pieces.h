/* SPDX-License-Identifier: MIT */
/* Pieces of explanations, of why-text.c: how they look, and what tells of the past. */
#ifndef FOSTER_CTL_WHY_PIECES_H
#define FOSTER_CTL_WHY_PIECES_H

#include "base/units.h"
#include "ctl/member.h"
#include "ctl/why-text.h"

/* The beginning of a line with a title, and of one that belongs to the line above. */
void why_label(const struct why_text *, const char *title);
void why_more(const struct why_text *);
/* The one or the other: the beginning of a list's line, whose first has the title. */
void why_item(const struct why_text *, size_t index, const char *title);

/* A member's duration, in microseconds there; "" when there is none. Returns buf, or "". */
const char *why_duration(const json_t *, const char *key, char buf[DURATION_TEXT_MAX]);

/* before TEXT after, or nothing when there is no text. */
void why_put(const struct why_text *, const char *before, const char *text, const char *after);

bool why_is(const json_t *, const char *key, const char *value);

const char *why_ordinal(json_int_t); /* "st", "nd", "rd", "th" */

/* before "root (fosterctl[1234])"; false, and nothing, when it was nobody. */
bool why_print_person(const struct why_text *, const char *before, const json_t *by);

void why_print_wish(const struct why_text *, const json_t *why);
void why_print_ends(const struct why_text *, const json_t *why);

#endif
