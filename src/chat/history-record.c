/* SPDX-License-Identifier: MIT */
/* The journal's records: see history-record.h. */
#include "chat/history-record.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "chat/hash.h"

#define RECORD_MAGIC UINT32_C(0x66634831)

struct head {
	uint32_t magic, checksum; /* of all that follows */
	uint32_t size;            /* of the whole record */
	uint8_t kind, closed;
	uint8_t channel_size, zero;
	uint64_t boot, number, time;
	uint16_t tags_size, line_size;
	uint32_t zero_too;
};

_Static_assert(sizeof(struct head) == 48, "no padding, whose bytes would be random");

static uint32_t checksum(const void *record, size_t size)
{
	/* Against accidents; an attacker who writes our files needs no collision. */
	static const struct hash_key key = { 0 };
	size_t skip = offsetof(struct head, size);

	return hash_bytes(&key, (const char *)record + skip, size - skip);
}

size_t history_record_encode(const struct history_record *record, void *buf, size_t size)
{
	struct head head = {
		.magic = RECORD_MAGIC,
		.kind = record->kind,
		.closed = record->closed,
		.channel_size = (uint8_t)strlen(record->channel),
		.boot = record->id.boot,
		.number = record->id.number,
		.time = record->time,
		.tags_size = (uint16_t)record->tags_size,
		.line_size = (uint16_t)record->line_size,
	};
	size_t whole = sizeof(head) + head.channel_size + record->tags_size + record->line_size;
	char *p = buf;

	if (whole > size || whole > HISTORY_RECORD_MAX)
		return 0;
	head.size = (uint32_t)whole;
	p += sizeof(head);
	memcpy(p, record->channel, head.channel_size);
	p += head.channel_size;
	if (record->tags_size > 0)
		memcpy(p, record->tags, record->tags_size);
	p += record->tags_size;
	memcpy(p, record->line, record->line_size);
	memcpy(buf, &head, sizeof(head));
	head.checksum = checksum(buf, whole);
	memcpy(buf, &head, sizeof(head));
	return whole;
}

static bool is_head(const struct head *head)
{
	return head->magic == RECORD_MAGIC && head->size <= HISTORY_RECORD_MAX &&
	       head->channel_size <= HISTORY_CHANNEL_MAX && head->kind <= HISTORY_EVENT &&
	       head->closed <= 1 && head->zero == 0 && head->zero_too == 0 &&
	       head->size == sizeof(*head) + head->channel_size + head->tags_size + head->line_size;
}

ssize_t history_record_decode(const void *data, size_t size, struct history_record *ret,
			      char channel[HISTORY_CHANNEL_MAX + 1])
{
	const char *p = (const char *)data + sizeof(struct head);
	struct head head;

	if (size < sizeof(head))
		return 0;
	memcpy(&head, data, sizeof(head));
	if (!is_head(&head))
		return -EBADMSG;
	if (size < head.size)
		return 0;
	if (checksum(data, head.size) != head.checksum || memchr(p, '\0', head.channel_size))
		return -EBADMSG;
	memcpy(channel, p, head.channel_size);
	channel[head.channel_size] = '\0';
	p += head.channel_size;
	*ret = (struct history_record){
		.channel = channel,
		.id = { head.boot, head.number },
		.time = head.time,
		.kind = head.kind,
		.closed = head.closed,
		.tags = p,
		.tags_size = head.tags_size,
		.line = p + head.tags_size,
		.line_size = head.line_size,
	};
	return head.size;
}
