/* SPDX-License-Identifier: MIT */
/* Where foster's cgroups are: which subtree, and the note of it in the run directory. */
#ifndef FOSTER_MANAGER_CGROUP_PATH_H
#define FOSTER_MANAGER_CGROUP_PATH_H

#include <stddef.h>
#include <stdint.h>

/*
 * The directory for this run's cgroups, which exists then; wanted is the option cgroup: NULL or
 * "auto", "no", or an absolute path below which to make it. *ret_path is the caller's. 0;
 * -ENOENT when there are to be none, or no cgroup v2 that we may write to; else -errno, with
 * *ret_path set where there is one to name.
 */
int cgroup_path_find(const char *run_directory, const char *wanted, uint64_t run_id,
		     char **ret_path);

/* Removes the directory, if it is empty, and the note of it. */
void cgroup_path_remove(const char *run_directory, const char *path);

/*
 * The path in the file system of the cgroup that the text of /proc/PID/cgroup names, by the text
 * of /proc/PID/mountinfo. Writes to buf; 0, -ENOENT or -ENAMETOOLONG. Pure.
 */
int cgroup_path_from(const char *cgroup, const char *mountinfo, char *buf, size_t size);

#endif
