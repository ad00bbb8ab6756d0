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
	LOGGER_CLOSE,    /* forget the number: what is in the pipe is written first */
	LOGGER_QUIT,     /* write what is in the pipes, and exit */
	LOGGER_LEAVE,    /* exit at once: another logger takes the pipes over */
	LOGGER_REOPEN,   /* close all files: they are opened anew by their names */
	LOGGER_SYNC,     /* its process has ended: write what the pipe holds, then answer */
	LOGGER_COUNT,    /* with the memfd of counts, which it may have as descriptor 3 already */
	/* to the manager */
	LOGGER_SYNCED, /* the answer to LOGGER_SYNC, with its value */
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
 * What the logger counts of a number. LOGGER_NUMBERS of them lie in a memfd that both map and that
 * the supervisor's store holds: so the manager may read them at any time without asking, and they
 * do not begin anew when either of the two is replaced. Only the logger writes; each field by
 * itself is whole at any moment.
 */
enum logger_loss {
	LOGGER_LOSS_FULL, /* it could not be written, and may not wait */
	LOGGER_LOSS_RATE,
	_LOGGER_LOSSES
};

/* What the logger does with what a pipe holds, for the next logger when it is killed over it. */
enum logger_stage {
	LOGGER_STAGE_NONE, /* what is written is out of the pipe, what is in the pipe is not written */
	LOGGER_STAGE_WRITING, /* what stands in the file from `before` to `after` is still in the pipe */
	LOGGER_STAGE_TAKING, /* that is whole in the file, and is being taken out of the pipe */
};

struct logger_count {
	uint64_t pipe;                 /* the inode of the pipe that all this is of; 0: of none */
	uint64_t lines, bytes;         /* of what its service said, written */
	uint64_t lost[_LOGGER_LOSSES]; /* lines that were dropped */
	uint64_t blocked;              /* 1: nothing can be written now */
	uint64_t stage;                /* enum logger_stage */
	uint64_t file, device;         /* the file that was written last, its inode; 0: none */
	uint64_t before, after;        /* its size without and with what the pipe holds */
	uint64_t taken, sum;           /* of what is taken out, where that ends within a line */
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
