/* SPDX-License-Identifier: MIT */
/*
 * Where the user sits: a terminal, on which what others say goes above the line that is being
 * typed, or else plain lines. One to a process, as it is set back whatever ends that.
 */
#ifndef FOSTER_CHAT_CLIENT_TERMINAL_H
#define FOSTER_CHAT_CLIENT_TERMINAL_H

#include <stdbool.h>

#include "chat/client/editor.h"
#include "chat/client/session.h"

/* Looks at standard input and output. True: a terminal, on which lines are edited. */
bool terminal_init(void);

/* Takes the terminal if it is ours: false when it is not, as in the background. */
bool terminal_take(void);
void terminal_give_back(void); /* as it was found, with nothing of the prompt left */

void terminal_show(enum session_style style, const char *line);
/* Draws prompt and text, if they or what is on the screen have changed. Both are valid UTF-8. */
void terminal_draw(const char *prompt, const char *text);
void terminal_keep_line(const char *prompt, const char *text); /* it stays, whole */
void terminal_resized(void);

int terminal_flush(void); /* blocks. 0 or -errno */

#endif
