/* SPDX-License-Identifier: MIT */
/*
 * The course protocol from the client's side; see foster-chatd(8). Nothing says that a datagram
 * has arrived: what has an answer is asked for again.
 */
#include "chat/client/session-internal.h"

#include <string.h>

#include "chat/course.h"
#include "chat/utf8.h"

#define ASK_AGAIN   USEC_PER_SEC
#define TELL_AFTER  3 /* times asked */
#define GIVE_UP     10
#define FORGOTTEN   (5 * USEC_PER_SEC) /* the room is told anew of us at most so often */
#define LEAVE_AGAIN (500 * USEC_PER_MSEC)
#define LEAVE_TIMES 4

/*
 * A little less than foster-chatd takes, unless it is set otherwise: 40 at once, then 10 a second.
 */
#define PACE_BURST 30
#define PACE       (USEC_PER_SEC / 8)

/* What the others get has three bytes around the name and this one more. */
#define ROOM_ADDS 1

static void send_datagram(struct session *s, const char *verb, const char *text, size_t size)
{
	struct course_datagram d;

	if (text)
		course_format(&d, "%s %s %.*s", verb, s->name, (int)size, text);
	else
		course_format(&d, "%s %s", verb, s->name);
	s->host->send(s->host->context, d.bytes, d.size);
}

static void ask(struct session *s, uint64_t now)
{
	s->course.asked++;
	s->deadline = now + ASK_AGAIN;
	send_datagram(s, "L", NULL, 0);
}

static void enter(struct session *s, uint64_t now)
{
	s->course.asked = 0;
	ask(s, now);
}

/*
 * Those of the course begin with an end of line. What stands behind another one is set in, so that
 * it passes for nobody else's words, nor for the client's.
 */
static void show_lines(struct session *s, const char *p, size_t size)
{
	bool first = true;

	while (size > 0) {
		const char *end = memchr(p, '\n', size);
		size_t n = end ? (size_t)(end - p) : size;

		if (n > 0) {
			session_show(s, SHOW_SAID, "%s%.*s", first ? "" : "  ", (int)n, p);
			first = false;
		}
		n += end ? 1 : 0;
		p += n;
		size -= n;
	}
}

static bool is(const char *bytes, size_t size, const char *word)
{
	return size == strlen(word) && memcmp(bytes, word, size) == 0;
}

static void show_refusal(struct session *s, const char *bytes, size_t size)
{
	while (size > 0 && *bytes == '\n') {
		bytes++;
		size--;
	}
	session_show(s, SHOW_TROUBLE, "%.*s", (int)size, bytes);
	session_refused(s);
}

/* The room was started anew, say, or a name was silent for too long. */
static void enter_again(struct session *s, uint64_t now)
{
	if (s->course.asked_again && now - s->course.asked_again < FORGOTTEN)
		return;
	s->course.asked_again = now;
	s->course.answers_to_come++;
	session_tell(s, SHOW_NOTICE, WORD_AGAIN);
	send_datagram(s, "L", NULL, 0);
}

static void receive_entering(struct session *s, const char *bytes, size_t size)
{
	if (is(bytes, size, COURSE_OK)) {
		s->course.answers_to_come += s->course.asked - 1;
		session_entered(s, USEC_INFINITY);
		session_tell(s, SHOW_NOTICE, WORD_ENTERED, s->server);
	} else if (s->course.asked > 1 && size > 0 && *bytes == '\n') {
		/* The first answer was lost, and the room speaks to us already. */
		show_lines(s, bytes, size);
	} else {
		show_refusal(s, bytes, size);
	}
}

static void receive(struct session *s, const char *bytes, size_t size, uint64_t now)
{
	if (s->phase == SESSION_ENTERING) {
		receive_entering(s, bytes, size);
		return;
	}
	if (s->phase == SESSION_NAME || s->phase == SESSION_PASSWORD)
		return; /* another answer to a name that was refused */
	if (is(bytes, size, COURSE_EXIT)) {
		bool wanted = s->phase == SESSION_LEAVING;

		session_tell(s, SHOW_NOTICE, wanted ? WORD_LEFT : WORD_PUT_OUT);
		session_end(s, !wanted);
	} else if (s->course.answers_to_come > 0 && is(bytes, size, COURSE_OK)) {
		s->course.answers_to_come--;
	} else {
		show_lines(s, bytes, size);
		if (s->phase == SESSION_IN && is(bytes, size, COURSE_STRANGER))
			enter_again(s, now);
	}
}

static void say(struct session *s, char *text, uint64_t now)
{
	size_t size = strlen(text), around = strlen(s->name) + strlen("C  ") + ROOM_ADDS;

	while (size > 0 && around < COURSE_DATAGRAM_MAX) {
		size_t n = utf8_cut(text, size, COURSE_DATAGRAM_MAX - around);

		if (n == 0)
			break;
		send_datagram(s, "C", text, n);
		text += n;
		size -= n;
		s->course.paced = MAX(s->course.paced, now) + PACE;
	}
	if (s->course.paced > PACE_BURST * PACE)
		s->line_at = s->course.paced - PACE_BURST * PACE;
}

static void leave(struct session *s, uint64_t now)
{
	s->course.left++;
	s->deadline = now + LEAVE_AGAIN;
	send_datagram(s, "Q", NULL, 0);
}

static void tick_entering(struct session *s, uint64_t now)
{
	if (s->course.asked >= GIVE_UP) {
		session_tell(s, SHOW_TROUBLE, WORD_NO_ANSWER, s->server);
		session_end(s, true);
		return;
	}
	if (s->course.asked == TELL_AFTER)
		session_tell(s, SHOW_TROUBLE, WORD_NO_ANSWER_YET, s->server);
	ask(s, now);
}

static void tick(struct session *s, uint64_t now)
{
	if (s->phase == SESSION_ENTERING) {
		tick_entering(s, now);
	} else if (s->phase == SESSION_LEAVING && s->course.left < LEAVE_TIMES) {
		leave(s, now);
	} else if (s->phase == SESSION_LEAVING) {
		session_end(s, false); /* the room forgets us by itself */
	}
}

const struct protocol course_protocol = {
	.enter = enter,
	.receive = receive,
	.say = say,
	.leave = leave,
	.tick = tick,
};
