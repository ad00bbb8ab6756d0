/* SPDX-License-Identifier: MIT */
/* The room with more users than the harness has: what it does at once, and what it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/units.h"
#include "chat/room.h"

#define USERS 1000

static struct room_config config = { .server_name = "srv",
				     .network = "net",
				     .course_channel = "#chat",
				     .nick_length = 32,
				     .channels_per_user = 50,
				     .channels_max = USERS,
				     .registration_timeout = 30 * USEC_PER_SEC,
				     .ping_interval = 120 * USEC_PER_SEC,
				     .ping_timeout = 60 * USEC_PER_SEC };
static struct room *room;
static unsigned n_closed, n_pinged;

static void on_send(void *arg, uint32_t id, const char *data, size_t size)
{
	n_pinged += strncmp(data, "PING ", 5) == 0;
}

static void on_close(void *arg, uint32_t id)
{
	n_closed++;
}

static void on_datagram(void *arg, const struct course_peer *peer, const char *data, size_t size)
{
}

static void say(uint32_t id, const char *text)
{
	room_line(room, id, text, strlen(text));
}

static int start(void **state)
{
	const struct room_output output = { .send = on_send,
					    .close = on_close,
					    .datagram = on_datagram };

	n_closed = n_pinged = 0;
	room = room_new(&config, &output);
	if (!room)
		return -1;
	room_set_time(room, USEC_PER_SEC, USEC_PER_SEC);
	for (uint32_t id = 0; id < USERS; id++)
		assert_int_equal(room_opened(room, id, "10.0.0.1"), 0);
	return 0;
}

static int stop(void **state)
{
	room_free(room);
	return 0;
}

static void enter(uint32_t id)
{
	char text[64];

	snprintf(text, sizeof(text), "NICK n%u", id);
	say(id, text);
	say(id, "USER u 0 * :u");
}

/* Does what is due at the time; returns in how many turns. No turn does more than max. */
static unsigned turns(uint64_t now, const unsigned *done, unsigned max)
{
	unsigned n = 0;

	room_set_time(room, now, now);
	while (room_deadline(room) <= now) {
		unsigned before = *done;

		room_tick(room);
		assert_in_range(*done - before, 1, max);
		n++;
	}
	return n;
}

static void test_not_all_time_out_at_once(void **state)
{
	assert_true(turns(31 * USEC_PER_SEC, &n_closed, 100) > 1);
	assert_int_equal(n_closed, USERS);
}

static void test_not_all_are_pinged_at_once(void **state)
{
	for (uint32_t id = 0; id < USERS; id++)
		enter(id);
	assert_true(turns(121 * USEC_PER_SEC, &n_pinged, 100) > 1);
	assert_int_equal(n_pinged, USERS);
	assert_int_equal(n_closed, 0);
}

static void test_work_is_counted(void **state)
{
	char text[64];

	for (uint32_t id = 0; id < USERS / 2; id++)
		enter(id);
	room_take_work(room);
	say(0, "PRIVMSG n1 :hello");
	say(0, "WHO n1");
	assert_int_equal(room_take_work(room), 0);
	say(0, "WHO x*"); /* each with five texts */
	assert_in_range(room_take_work(room), 5 * USERS / 2, 5 * USERS);
	assert_int_equal(room_take_work(room), 0);
	for (unsigned i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "JOIN #c%u", i);
		say(0, text);
	}
	room_take_work(room);
	say(1, "LIST >1000");
	assert_in_range(room_take_work(room), 40, 41);
	say(1, "LIST *x*,*y*"); /* each with two masks */
	assert_in_range(room_take_work(room), 3 * 40, 3 * 41);
	say(1, "LIST *a,*b,*c,*d,*e,*f,*g,*h,*i,*j,*k,!*l"); /* not with any number of them */
	assert_in_range(room_take_work(room), 10 * 40, 10 * 41);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_all_time_out_at_once, start, stop),
		cmocka_unit_test_setup_teardown(test_not_all_are_pinged_at_once, start, stop),
		cmocka_unit_test_setup_teardown(test_work_is_counted, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
