/* SPDX-License-Identifier: MIT */
#include "config-fixture.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

char fixture_directory[PATH_MAX / 2];

int fixture_setup(void **state)
{
	const char *base = getenv("TMPDIR");

	snprintf(fixture_directory, sizeof(fixture_directory), "%s/foster-config-XXXXXX",
		 base ? base : "/tmp");
	return mkdtemp(fixture_directory) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

int fixture_teardown(void **state)
{
	return nftw(fixture_directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fixture_path(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", fixture_directory, name);
	return path;
}

void fixture_write(const char *name, const char *data, size_t size)
{
	const char *slash = strrchr(name, '/');
	FILE *f;

	if (slash) {
		char directory[64];

		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - name), name);
		if (mkdir(fixture_path(directory), 0777) < 0)
			assert_int_equal(errno, EEXIST);
	}
	f = fopen(fixture_path(name), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

void fixture_write_text(const char *name, const char *text)
{
	fixture_write(name, text, strlen(text));
}

void fixture_remove(const char *name)
{
	assert_int_equal(remove(fixture_path(name)), 0);
}

struct config *fixture_load(struct config_problems *problems)
{
	struct config_source *source = config_source_new();
	struct config *config = config_load(fixture_path("foster.conf"), source, problems);

	config_source_free(source);
	return config;
}

struct config *fixture_load_good(void)
{
	struct config_problems problems;
	struct config *config = fixture_load(&problems);

	for (size_t i = 0; i < problems.n; i++)
		print_error("%s:%d: %s\n", problems.items[i].file, problems.items[i].line,
			    problems.items[i].text);
	assert_int_equal(problems.n, 0);
	assert_non_null(config);
	config_problems_clear(&problems);
	return config;
}

struct config *fixture_good(const char *text)
{
	fixture_write_text("foster.conf", text);
	return fixture_load_good();
}
