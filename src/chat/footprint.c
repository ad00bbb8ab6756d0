/* SPDX-License-Identifier: MIT */
/* The memory that a long life does not need: see footprint.h. */
#include "config.h"

#include "chat/footprint.h"

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define MMAP_ABOVE (256 * 1024)
#define TRIM_ABOVE (128 * 1024)

void footprint_bound_heap(void)
{
	mallopt(M_MMAP_THRESHOLD, MMAP_ABOVE);
	mallopt(M_TRIM_THRESHOLD, TRIM_ABOVE);
}

/*
 * Segments that are not writable are the file's own pages: nothing is lost. OpenSSL alone touches
 * 4 MB of its tables to find its algorithms, and SQLite 1 MB to read a schema.
 */
static int drop_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t begin = (info->dlpi_addr + p->p_vaddr) & ~(page - 1);
		uintptr_t end = (info->dlpi_addr + p->p_vaddr + p->p_memsz) & ~(page - 1);

		/* An error (pages that are locked, the vDSO) leaves them as they are. */
		if (p->p_type == PT_LOAD && !(p->p_flags & PF_W) && end > begin)
			madvise((void *)begin, end - begin, MADV_DONTNEED);
	}
	return 0;
}

void footprint_drop_code(void)
{
	dl_iterate_phdr(drop_object, NULL);
}
