/* SPDX-License-Identifier: MIT */
/*
 * What an exec needs, made ready before the fork: between fork and exec the child of a threaded
 * program may not allocate.
 */
#ifndef FOSTER_LIBFOSTER_EXEC_PLAN_H
#define FOSTER_LIBFOSTER_EXEC_PLAN_H

/*
 * The paths to try for a program, NULL-terminated, in one allocation that is the caller's to
 * free: the name itself if it has a slash, else the name in each directory of PATH. NULL when
 * out of memory.
 */
char **exec_plan_paths(const char *program);

/*
 * Executes the first of paths that can be, with the environment as it is. Returns a negative
 * errno on failure, as execvp(3) chooses it; async-signal-safe. A file without a known format
 * is -ENOEXEC, not a shell script: such a file is more often broken than meant so.
 */
int exec_plan_run(char *const paths[], char *const argv[]);

#endif
