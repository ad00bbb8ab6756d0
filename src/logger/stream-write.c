/* SPDX-License-Identifier: MIT */
/* From what a service said to its file, or to another daemon: see stream.h. */
#include "logger/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log-name.h"
#include "base/macro.h"
#include "base/units.h"
#include "logger/intent.h"
#include "logger/lines.h"

static char out[LINES_ROOM];

static const char *stream_name(const struct stream *s)
{
	if (s->number >= LOGGER_STDERR)
		return "stderr";
	return s->settings->set.flags & LOGGER_APART ? "stdout" : "output";
}

const char *stream_label(const struct stream *s)
{
	static char label[LOG_FILE_NAME_MAX];

	snprintf(label, sizeof(label), "%s%s", s->name,
		 s->number >= LOGGER_STDERR ? " (stderr)" : "");
	return label;
}

bool stream_is_placed(const struct stream *s)
{
	return s->placed;
}

bool stream_needs_lines(const struct stream *s)
{
	return s->settings->set.sink != LOGGER_SINK_FILE || (s->settings->set.flags & LOGGER_JSON);
}

/* --- files ------------------------------------------------------------------------------ */

static char *make_members(const struct stream *s, const char *stream)
{
	char *text, instance[96] = "", pid[32] = "";

	/* Names and marks hold nothing that JSON would have to escape. */
	if (s->instance)
		snprintf(instance, sizeof(instance), "\"instance\":\"%s\",", s->instance);
	if (s->pid > 0)
		snprintf(pid, sizeof(pid), "\"pid\":%u,", s->pid);
	return asprintf(&text, "\"service\":\"%s\",%s%s\"stream\":\"%s\",", s->name, instance, pid,
			stream) < 0
		       ? NULL
		       : text;
}

static int make_style(struct stream *s, uint64_t realtime, struct line_style *style)
{
	unsigned flags = s->settings->set.flags;
	enum line_stamps stamps = LINE_STAMPS_NONE;

	*style = (struct line_style){ .json = flags & LOGGER_JSON, .prefix = s->settings->prefix };
	if (flags & LOGGER_LOCAL)
		stamps = LINE_STAMPS_LOCAL;
	else if ((flags & LOGGER_UTC) || style->json)
		stamps = LINE_STAMPS_UTC;
	lines_stamp(style, stamps, realtime);
	if (style->json && !s->members)
		s->members = make_members(s, stream_name(s));
	style->members = s->members;
	return style->json && !s->members ? -ENOMEM : 0;
}

struct output {
	const char *data; /* what to write */
	size_t size;
	size_t used; /* what of the input that is */
	bool inside; /* behind it */
};

static void produce(const struct stream *s, const struct line_style *style, const char *data,
		    size_t n, bool last, bool one, size_t room, struct output *o)
{
	o->inside = s->inside;
	if (style->json || style->stamp[0] || *style->prefix) {
		o->data = out;
		o->used = lines_format(style, &o->inside, data, n, last, one, out,
				       room < LINES_ROOM ? room : LINES_ROOM, &o->size);
		return;
	}
	o->data = data;
	o->used = o->size = lines_cut(data, n, one, room);
	if (o->used > 0)
		o->inside = data[o->used - 1] != '\n';
}

static bool waits_for_its_end(const struct line_style *style, const char *data, size_t n, bool last)
{
	struct line_piece piece;

	return style->json && !lines_piece(data, n, last, &piece);
}

static struct log_place place_of(const struct stream *s, char name[LOG_FILE_NAME_MAX])
{
	return (struct log_place){ s->settings, log_name(name, LOG_FILE_NAME_MAX, s->name,
							 s->number >= LOGGER_STDERR) };
}

static int place_in_file(struct stream *s)
{
	char name[LOG_FILE_NAME_MAX];
	struct log_place place = place_of(s, name);
	size_t room;
	int error = log_file_open(&s->file, &place, now_realtime(), false, &room);

	return error < 0 ? error : stream_find_place(s, s->settings->set.flags & LOGGER_JSON);
}

int stream_place(struct stream *s)
{
	int error = 0;

	if (s->placed)
		return 0;
	intent_resume(s);
	if (s->settings->set.sink == LOGGER_SINK_FILE)
		error = place_in_file(s);
	else
		s->inside = false; /* as the file was, that it went to before */
	if (error < 0)
		return error;
	intent_resume_done(s);
	s->placed = true;
	return 0;
}

/* What a pipe begins with, and how much of it is written. A note of ours comes from no pipe. */
struct progress {
	const char *data;
	size_t used;
};

/* One write. *ret_used is 0 when what there is must wait, or a new file has been begun. */
static int write_piece(struct stream *s, const struct log_place *place,
		       const struct line_style *style, uint64_t realtime,
		       const struct progress *pipe, const char *data, size_t n, bool last,
		       struct output *o)
{
	size_t room;
	int error;

	if (pipe->used > 0) /* before the file is rotated away, which nobody would know then */
		intent_write(s, pipe->data, pipe->used, 0);
	error = log_file_open(&s->file, place, realtime, !s->inside, &room);
	if (error < 0)
		return error;
	produce(s, style, data, n, last, false, room, o);
	if (o->used == 0 && !s->inside && s->file.size > 0)
		return log_file_rotate(&s->file, place);
	if (o->used == 0) /* a line that is larger than a file, or goes on in this one */
		produce(s, style, data, n, last, true, LINES_ROOM, o);
	intent_write(s, pipe->data, pipe->used, o->size);
	error = log_file_write(&s->file, o->data, o->size);
	if (error == 0)
		s->inside = o->inside;
	return error;
}

static int write_to_file(struct stream *s, struct line_style *style, const char *data, size_t n,
			 bool last, bool note, uint64_t realtime, size_t *ret_used)
{
	char name[LOG_FILE_NAME_MAX];
	struct progress pipe = { .data = data };
	struct log_place place = place_of(s, name);
	int error = 0;

	while (*ret_used < n && error == 0) {
		const char *rest = data + *ret_used;
		struct output o = { 0 };

		if (waits_for_its_end(style, rest, n - *ret_used, last))
			break;
		error = write_piece(s, &place, style, realtime, &pipe, rest, n - *ret_used, last,
				    &o);
		if (error == 0)
			*ret_used += o.used;
		pipe.used = note ? 0 : *ret_used;
	}
	return error;
}

/* --- other daemons ---------------------------------------------------------------------- */

static int send_lines(const struct stream *s, const char *stream, const char *data, size_t n,
		      bool last, bool note, uint64_t realtime, size_t *ret_used)
{
	struct line_source source = { s->name, stream, s->instance ? s->instance : "", s->pid };
	const char *path = s->settings->socket;
	struct line_piece piece;
	int error = 0;

	while (error == 0 && lines_piece(data + *ret_used, n - *ret_used, last, &piece)) {
		const char *line = data + *ret_used;

		if (s->settings->set.sink == LOGGER_SINK_JOURNAL)
			error = journal_send(path, &source, line, piece.size, piece.partial);
		else
			error = syslog_send(path, &source, line, piece.size, realtime);
		if (error == 0)
			*ret_used += piece.used;
		if (error == 0 && !note)
			intent_write(s, data, *ret_used, 0);
	}
	return error;
}

/* --- both ------------------------------------------------------------------------------- */

int stream_write(struct stream *s, const char *data, size_t n, bool last, size_t *ret_used)
{
	uint64_t realtime = now_realtime();
	struct line_style style;
	int error;

	*ret_used = 0;
	if (s->settings->set.sink != LOGGER_SINK_FILE)
		return send_lines(s, stream_name(s), data, n, last, false, realtime, ret_used);
	error = make_style(s, realtime, &style);
	if (error < 0)
		return error;
	return write_to_file(s, &style, data, n, last, false, realtime, ret_used);
}

int stream_write_note(struct stream *s, const char *text)
{
	uint64_t realtime = now_realtime();
	_cleanup_free_ char *members = NULL;
	struct line_style style;
	char line[256];
	size_t used = 0, size;
	int error = stream_place(s);

	if (error < 0)
		return error;
	/* A line that was cut off ends here. */
	size = (size_t)snprintf(line, sizeof(line), "%s%s\n", s->inside ? "\n" : "", text);
	if (s->settings->set.sink != LOGGER_SINK_FILE)
		return send_lines(s, "foster", line, size, true, true, realtime, &used);
	error = make_style(s, realtime, &style);
	if (style.json && error == 0)
		style.members = members = make_members(s, "foster");
	if (error < 0 || (style.json && !members))
		return -ENOMEM;
	error = write_to_file(s, &style, line, size, true, true, realtime, &used);
	intent_done(s);
	return error;
}
