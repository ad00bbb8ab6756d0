/* SPDX-License-Identifier: MIT */
/* The list of what is wrong with a config: see config-problem.h. */
#include "manager/config-problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

void config_problems_clear(struct config_problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		free(problems->items[i].file);
		free(problems->items[i].text);
	}
	free(problems->items);
	*problems = (struct config_problems){ 0 };
}

/* What is wrong in the section defaults is wrong for each service, and told once. */
static bool told_just_now(const struct config_problems *problems, const char *file, int line,
			  const char *text)
{
	for (size_t i = 0; i < MIN(problems->n, (size_t)8); i++) {
		const struct config_problem *last = &problems->items[problems->n - 1 - i];

		if (last->line == line && strcmp(last->file, file) == 0 &&
		    strcmp(last->text, text) == 0)
			return true;
	}
	return false;
}

void config_problem_add(struct config_problems *problems, const char *file, int line,
			const char *fmt, ...)
{
	struct config_problem problem = { NULL, line, NULL }, *bigger;
	bool last = problems->n == CONFIG_PROBLEMS_MAX;
	va_list ap;
	int r;

	if (problems->n > CONFIG_PROBLEMS_MAX)
		return;
	if (last)
		fmt = "there are more problems than are told here";
	va_start(ap, fmt);
	r = vasprintf(&problem.text, fmt, ap);
	va_end(ap);
	if (r >= 0 && told_just_now(problems, file, line, problem.text)) {
		free(problem.text);
		return;
	}
	problem.file = strdup(file);
	bigger = reallocarray(problems->items, problems->n + 1, sizeof(problem));
	if (bigger)
		problems->items = bigger;
	if (r < 0 || !problem.file || !bigger) {
		if (r >= 0)
			free(problem.text);
		free(problem.file);
		return;
	}
	text_disarm(problem.text);
	bigger[problems->n++] = problem;
}

static int compare(const void *a, const void *b)
{
	const struct config_problem *x = a, *y = b;
	int by_file = strcmp(x->file, y->file);

	return by_file ? by_file : (x->line > y->line) - (x->line < y->line);
}

void config_problems_sort(struct config_problems *problems)
{
	if (problems->n > 1)
		qsort(problems->items, problems->n, sizeof(*problems->items), compare);
}
