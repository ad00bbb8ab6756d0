/* SPDX-License-Identifier: MIT */
/*
 * The archive of what a config was made of: see config-source.h. On the fd it is a header line,
 * then for each entry a struct record, the key and the data. It never leaves this machine and
 * this version's successors, so the numbers are in the machine's order; a reader that does not
 * know the header refuses it.
 */
#include "manager/config-source.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/strv.h"
#include "manager/config-index.h"

#define HEADER      "foster config source 1\n"
#define ARCHIVE_MAX ((size_t)256 << 20)

/* What a key begins with. */
enum entry_kind {
	ENTRY_FILE = 'F',
	ENTRY_GLOB = 'G', /* data: the paths, each with its NUL */
};

struct entry {
	int error; /* 0 or -errno */
	char *key; /* the kind's letter and the path or pattern */
	char *data;
	size_t size;
};

struct record {
	int32_t error;
	uint32_t key_size; /* the NUL not counted */
	uint32_t data_size;
};

struct config_source {
	struct entry *entries;
	size_t n_entries;
	struct name_index *index; /* of the keys */
	bool restored;
};

struct config_source *config_source_new(void)
{
	struct config_source *source = calloc(1, sizeof(*source));

	if (!source)
		return NULL;
	source->index = name_index_new();
	return source->index ? source : config_source_free(source);
}

struct config_source *config_source_free(struct config_source *source)
{
	if (!source)
		return NULL;
	for (size_t i = 0; i < source->n_entries; i++) {
		free(source->entries[i].key);
		free(source->entries[i].data);
	}
	free(source->entries);
	name_index_free(source->index);
	free(source);
	return NULL;
}

static void source_cleanup(struct config_source **source)
{
	config_source_free(*source);
}

static const struct entry *find_entry(const struct config_source *source, enum entry_kind kind,
				      const char *name)
{
	_cleanup_free_ char *key = NULL;
	size_t position;

	if (asprintf(&key, "%c%s", kind, name) < 0)
		return NULL;
	return name_index_find(source->index, key, &position) < 0 ? NULL
								  : &source->entries[position];
}

/* Takes key and data in any case. NULL when out of memory, or when the key is there already. */
static const struct entry *add_entry(struct config_source *source, char *key, int error, char *data,
				     size_t size)
{
	struct entry *bigger =
		reallocarray(source->entries, source->n_entries + 1, sizeof(struct entry));

	if (bigger)
		source->entries = bigger;
	if (!bigger || !key || name_index_add(source->index, key, source->n_entries) < 0) {
		free(key);
		free(data);
		return NULL;
	}
	bigger[source->n_entries] = (struct entry){ error, key, data, size };
	return &bigger[source->n_entries++];
}

static const struct entry *add_answer(struct config_source *source, enum entry_kind kind,
				      const char *name, int error, char *data, size_t size)
{
	char *key = NULL;

	if (asprintf(&key, "%c%s", kind, name) < 0)
		key = NULL;
	return add_entry(source, key, error, data, size);
}

int config_source_read(struct config_source *source, const char *path, size_t max,
		       const char **ret_data, size_t *ret_size)
{
	const struct entry *entry = find_entry(source, ENTRY_FILE, path);

	if (!entry) {
		char *data = NULL;
		size_t size = 0;
		int r = source->restored ? -ENOENT : fd_read_regular(path, max, &data, &size);

		entry = add_answer(source, ENTRY_FILE, path, r, data, size);
		if (!entry)
			return -ENOMEM;
	}
	if (entry->error < 0)
		return entry->error;
	*ret_data = entry->data;
	*ret_size = entry->size;
	return 0;
}

static int glob_disk(const char *pattern, char **ret_data, size_t *ret_size)
{
	glob_t found = { 0 };
	size_t size = 0, at = 0;
	char *data = NULL;
	int r = glob(pattern, 0, NULL, &found);

	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		size += strlen(found.gl_pathv[i]) + 1;
	if (r == 0) {
		data = malloc(size);
		r = data ? 0 : GLOB_NOSPACE;
	}
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
		strcpy(data + at, found.gl_pathv[i]);
		at += strlen(data + at) + 1;
	}
	globfree(&found);
	if (r != 0 && r != GLOB_NOMATCH)
		return r == GLOB_NOSPACE ? -ENOMEM : -EACCES;
	*ret_data = data;
	*ret_size = size;
	return 0;
}

int config_source_glob(struct config_source *source, const char *pattern, char ***ret_paths)
{
	const struct entry *entry = find_entry(source, ENTRY_GLOB, pattern);
	_cleanup_strv_ char **paths = NULL;

	if (!entry) {
		char *data = NULL;
		size_t size = 0;
		int r = source->restored ? 0 : glob_disk(pattern, &data, &size);

		entry = add_answer(source, ENTRY_GLOB, pattern, r, data, size);
		if (!entry)
			return -ENOMEM;
	}
	if (entry->error < 0)
		return entry->error;
	for (const char *p = entry->data; p && p < entry->data + entry->size; p += strlen(p) + 1) {
		if (strv_push(&paths, p) < 0)
			return -ENOMEM;
	}
	*ret_paths = TAKE_PTR(paths);
	return 0;
}

int config_source_save(const struct config_source *source, int fd)
{
	int r;

	if (lseek(fd, 0, SEEK_SET) < 0 || ftruncate(fd, 0) < 0)
		return -errno;
	r = fd_write_all(fd, HEADER, strlen(HEADER));
	for (size_t i = 0; r == 0 && i < source->n_entries; i++) {
		const struct entry *e = &source->entries[i];
		struct record record = { e->error, (uint32_t)strlen(e->key), (uint32_t)e->size };

		r = fd_write_all(fd, &record, sizeof(record));
		if (r == 0)
			r = fd_write_all(fd, e->key, record.key_size);
		if (r == 0)
			r = fd_write_all(fd, e->data, record.data_size);
	}
	return r;
}

/* Copies n bytes of the archive with a NUL behind them. NULL when out of memory. */
static char *take_bytes(const char **p, size_t n)
{
	char *copy = malloc(n + 1);

	if (!copy)
		return NULL;
	memcpy(copy, *p, n);
	copy[n] = '\0';
	*p += n;
	return copy;
}

static int restore_entry(struct config_source *source, const char **p, const char *end)
{
	struct record record;
	char *key, *data;

	if ((size_t)(end - *p) < sizeof(record))
		return -EBADMSG;
	memcpy(&record, *p, sizeof(record));
	*p += sizeof(record);
	if (record.error > 0 || record.key_size == 0 ||
	    (uint64_t)record.key_size + record.data_size > (size_t)(end - *p))
		return -EBADMSG;
	key = take_bytes(p, record.key_size);
	data = key ? take_bytes(p, record.data_size) : NULL;
	if (!data) {
		free(key);
		return -ENOMEM;
	}
	return add_entry(source, key, record.error, data, record.data_size) ? 0 : -ENOMEM;
}

int config_source_restore(int fd, struct config_source **ret)
{
	_cleanup_(source_cleanup) struct config_source *source = config_source_new();
	_cleanup_free_ char *archive = NULL;
	const char *p, *end;
	size_t size;
	int r;

	if (!source)
		return -ENOMEM;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	r = fd_read_all(fd, ARCHIVE_MAX, &archive, &size);
	if (r < 0)
		return r;
	p = archive;
	end = archive + size;
	if (size < strlen(HEADER) || memcmp(p, HEADER, strlen(HEADER)) != 0)
		return -EBADMSG;
	for (p += strlen(HEADER); p < end;) {
		r = restore_entry(source, &p, end);
		if (r < 0)
			return r;
	}
	source->restored = true;
	*ret = TAKE_PTR(source);
	return 0;
}
