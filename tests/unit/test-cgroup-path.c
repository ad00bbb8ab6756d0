/* SPDX-License-Identifier: MIT */
/* Which directory a cgroup is: manager/cgroup-path.h. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/macro.h"
#include "manager/cgroup-path.h"

#define UNIFIED "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
#define HYBRID                                                                            \
	"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"                      \
	"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"            \
	"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:3 - cgroup2 cgroup2 rw\n" \
	"42 23 0:39 / /tmp rw - tmpfs tmpfs rw\n"

static const struct {
	const char *cgroup, *mountinfo, *path; /* NULL: there is none */
} cases[] = {
	{ "0::/\n", UNIFIED, "/sys/fs/cgroup" },
	{ "0::/system.slice/foster.service\n", UNIFIED,
	  "/sys/fs/cgroup/system.slice/foster.service" },
	{ "9:name=systemd:/\n8:pids:/a\n0::/b\n", HYBRID, "/sys/fs/cgroup/unified/b" },
	/* A container without a cgroup namespace: the mount shows a part only. */
	{ "0::/docker/1a2b/x\n", "1 0 0:3 /docker/1a2b /cg rw - cgroup2 cgroup2 rw\n", "/cg/x" },
	{ "0::/docker/1a2b\n", "1 0 0:3 /docker/1a2b /cg rw - cgroup2 cgroup2 rw\n", "/cg" },
	{ "0::/docker/1a2bc\n", "1 0 0:3 /docker/1a2b /cg rw - cgroup2 cgroup2 rw\n", NULL },
	{ "0::/a\n", "1 0 0:3 / /my\\040cg rw - cgroup2 cgroup2 rw\n", "/my cg/a" },
	{ "0::/a b\n", UNIFIED, "/sys/fs/cgroup/a b" },
	{ "8:pids:/\n1:cpu:/\n", HYBRID, NULL }, /* no cgroup v2 at all */
	{ "0::/a\n", "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", NULL },
	{ "0::/a\n", "1 0 0:3 / /x rw - cgroup2", NULL },
	{ "0::/a\n", "", NULL },
	{ "", UNIFIED, NULL },
	{ "0::", UNIFIED, NULL },
	/* The type of another line is not this one's. */
	{ "0::/a\n", "1 0 0:3 / /x rw\n2 0 0:4 / /y rw - cgroup2 cgroup2 rw\n", "/y/a" },
};

static void test_paths(void **state)
{
	for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
		char path[PATH_MAX] = "";
		int error =
			cgroup_path_from(cases[i].cgroup, cases[i].mountinfo, path, sizeof(path));

		if (error != (cases[i].path ? 0 : -ENOENT))
			fail_msg("case %zu: %d", i, error);
		if (cases[i].path)
			assert_string_equal(path, cases[i].path);
	}
}

static void test_too_long(void **state)
{
	char path[8];

	assert_int_equal(cgroup_path_from("0::/abcdefg\n", UNIFIED, path, sizeof(path)),
			 -ENAMETOOLONG);
}

static void test_none_is_wanted(void **state)
{
	char *path = (char *)"x";

	assert_int_equal(cgroup_path_find("/nonexistent", "no", 1, &path), -ENOENT);
	assert_null(path);
}

/* What is no cgroup file system is not taken for one, however writable. */
static void test_elsewhere(void **state)
{
	char directory[] = "/tmp/test-cgroup-XXXXXX", made[64];
	_cleanup_free_ char *path = NULL;
	struct stat st;

	assert_non_null(mkdtemp(directory));
	assert_int_equal(cgroup_path_find(directory, directory, 0xabc, &path), -EROFS);
	snprintf(made, sizeof(made), "%s/foster-0000000000000abc", directory);
	assert_string_equal(path, made);
	assert_int_equal(stat(made, &st), -1); /* nothing is left there */
	assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_none_is_wanted),
		cmocka_unit_test(test_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
