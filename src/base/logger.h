/* SPDX-License-Identifier: MIT */
/*
 * The channel between foster-manager and foster-log, all that crosses that border: a SOCK_SEQPACKET
 * socketpair, the logger's end is its standard input. Both ends also lie in the supervisor's
 * store, so that either side may be replaced. When supervisor and manager are gone the channel
 * hangs up; the logger then goes on until each pipe has ended. A packet is one message or several,
 * one behind the other; of the descriptors that come with it each OPEN and COUNT has one, in their
 * order.
 * Behind a message's struct follow its texts, each with its NUL, up to its size.
 */
#ifndef FOSTER_BASE_LOGGER_H
#define FOSTER_BASE_LOGGER_H

#include <stddef.h>
#include <stdint.h>

#include "base/link.h"

#define LOGGER_NUMBERS     (2 * LINK_SLOTS)
#define LOGGER_STDERR      LINK_SLOTS /* added to a slot: the pipe of standard error alone */
#define LOGGER_MESSAGE_MAX 8192
#define LOGGER_TEXTS_MAX   4

enum logger_type {
	/* to the logger */
	LOGGER_OPEN = 1, /* with the read end of a pipe; one that the number had is replaced */
	LOGGER_SET,      /* other settings for a number that is open */
	LOGGER_RUN,      /* the process whose output comes from now on */
	LOGGER_CLOSE,  /* forget the number: what is in the pipe is written first, then answered */
	LOGGER_QUIT,   /* write what is in the pipes, and exit */
	LOGGER_LEAVE,  /* exit at once: another logger takes the pipes over */
	LOGGER_REOPEN, /* close all files: they are opened anew by their names */
	LOGGER_SYNC,   /* its process has ended: write what the pipe holds, then answer */
	LOGGER_COUNT,  /* with the file of counts, which it may have as descriptor 3 already */
	/* to the manager */
	LOGGER_SYNCED, /* the answer to LOGGER_SYNC, with its value */
	LOGGER_CLOSED, /* to LOGGER_CLOSE, of a number that is open, unless the value is 0 */
};

struct logger_message {
	uint32_t type;
	uint32_t size;   /* of the message in bytes, a multiple of 8 */
	uint32_t number; /* of the pipe: its service's slot, with LOGGER_STDERR added or not */
	uint32_t pid;    /* of RUN */
	uint64_t value;
};

enum logger_sink {
	LOGGER_SINK_FILE,
	LOGGER_SINK_JOURNAL,
	LOGGER_SINK_SYSLOG,
	_LOGGER_SINKS
};

enum logger_flag {
	LOGGER_JSON = 1 << 0,
	LOGGER_UTC = 1 << 1, /* a time in front of each line; also of JSON's: local unless set */
	LOGGER_LOCAL = 1 << 2,
	LOGGER_GZIP = 1 << 3,
	LOGGER_DROP = 1 << 4,  /* what cannot be written is dropped when the pipe fills */
	LOGGER_APART = 1 << 5, /* standard error has its own pipe */
	LOGGER_ZSTD = 1 << 6,
};

/* What OPEN and SET have behind the message; then the texts name, directory, prefix, socket. */
struct logger_settings {
	uint32_t sink, flags;
	uint64_t size, keep_size;         /* bytes; 0: no limit */
	uint64_t period;                  /* us; 0: none */
	uint64_t rate_lines, rate_period; /* 0: no limit; us */
	uint64_t buffer;                  /* bytes of the pipe; 0: as need be */
	uint32_t keep;                    /* files beside the one that is written */
	uint32_t mode;
	uint32_t uid, gid; /* UINT32_MAX: as they come */
};

enum logger_text {
	LOGGER_NAME_TEXT, /* of the service; RUN: its instance, "RUN.N" */
	LOGGER_DIRECTORY,
	LOGGER_PREFIX,
	LOGGER_SOCKET,
};

/*
 * What the logger notes of a number: what it has counted, and what it is doing with the first
 * bytes of the pipe. All of it lies in one file of the run directory, which manager and logger map
 * shared and the supervisor's store holds open: it outlives all three of them, as what is written
 * into such a memory is the kernel's. So the manager reads counts at any time without asking, and
 * the next logger knows what the last one was at, of this fosterd or of an earlier one. The
 * manager makes it and gives a number to a pipe; all the rest only the logger writes. Each field
 * by itself is whole at any moment.
 */
enum logger_loss {
	LOGGER_LOSS_FULL, /* it could not be written, and may not wait */
	LOGGER_LOSS_RATE,
	_LOGGER_LOSSES
};

/* What the logger does with what a pipe holds: see logger/intent.h. */
enum logger_stage {
	LOGGER_STAGE_NONE, /* what is written is out of the pipe, what is in the pipe is not written */
	LOGGER_STAGE_WRITING, /* the first `done` bytes are written, more are being: to `file` */
	LOGGER_STAGE_TAKING,  /* the first `done` bytes are being taken out of the pipe */
};

struct logger_record {
	uint64_t pipe;          /* its inode: whose record it is */
	uint64_t done, sum;     /* bytes of the pipe; of what it begins with */
	uint64_t file, device;  /* the inode of the one that is written to; 0: none */
	uint64_t before, after; /* its size without and with what is being written */
	uint8_t last;           /* the last byte that is taken out */
	uint8_t taken;          /* where it is taken to: another one until then */
	uint8_t reserved[6];
};

struct logger_count {
	uint64_t pipe, pipe_device;    /* the pipe that all this is of, its inode; 0: unknown */
	uint64_t lines, bytes;         /* of what its service said, written */
	uint64_t lost[_LOGGER_LOSSES]; /* lines that were dropped */
	uint64_t blocked;              /* 1: nothing can be written now */
	uint64_t stage; /* enum logger_stage, twice, and which of the records holds */
	struct logger_record records[2];
	uint64_t told[_LOGGER_LOSSES]; /* of the lost ones, what the log itself tells of */
};

#define LOGGER_NO_PIPE UINT64_MAX /* instead of an inode: the service was started without one */

#define LOGGER_MEMORY_FILE    "log-counts" /* in the run directory */
#define LOGGER_MEMORY_MAGIC   0x666f737465726cU
#define LOGGER_MEMORY_VERSION 4

struct logger_memory_head {
	uint64_t magic;
	uint32_t version, size_of_count;
	char boot_id[40]; /* in another boot pipes have other numbers */
	uint64_t reserved;
};

struct logger_memory {
	struct logger_memory_head head;
	struct logger_count counts[LOGGER_NUMBERS];
};

/* Appends to *field, which one process alone writes. */
static inline void logger_count_add(uint64_t *field, uint64_t more)
{
	__atomic_store_n(field, __atomic_load_n(field, __ATOMIC_RELAXED) + more, __ATOMIC_RELAXED);
}

/*
 * Appends a message to the packet: the settings (NULL: none) and texts. Its size, or -EMSGSIZE
 * when it is larger than room. Fills in message->size.
 */
int logger_encode(struct logger_message *message, const struct logger_settings *settings,
		  const char *const *texts, size_t n_texts, char *to, size_t room);

/*
 * The message at the beginning of data, aligned to 8. *ret_settings (of OPEN and SET, else NULL)
 * and texts ("" for what is missing) point into it. Its size, or -EBADMSG.
 */
int logger_decode(const char *data, size_t size, const struct logger_message **ret,
		  const struct logger_settings **ret_settings,
		  const char *ret_texts[LOGGER_TEXTS_MAX]);

#endif
