/* SPDX-License-Identifier: MIT */
/* Signal numbers and names. Pure. */
#ifndef FOSTER_BASE_SIGNALS_H
#define FOSTER_BASE_SIGNALS_H

/* "TERM", "SIGTERM", "term", "RTMIN+3" or "15": the number, or -EINVAL. */
int signal_from_string(const char *text);

/* "SIGTERM"; "SIGRTMIN+3"; "signal 77" in a static buffer for what has no name. */
const char *signal_to_string(int signo);

#endif
