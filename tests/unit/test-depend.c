/* SPDX-License-Identifier: MIT */
/*
 * The order among services: manager/depend.h. The services are real machines; what carries out
 * their actions is faked here at link time: processes live and die in one array.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "machine-fixture.h"
#include "manager/depend.h"
#include "manager/service.h"

#define N_MAX 8

static struct service services[N_MAX], *list[N_MAX];
static struct service_config configs[N_MAX];
static struct manager manager = { .services = list };
static bool runs[N_MAX];
static char started[N_MAX * 4], stopped[N_MAX * 4]; /* the order in which it was done */
static unsigned depth, events;

static size_t number(const struct service *s)
{
	return s - services;
}

/* --- the fakes -------------------------------------------------------------------------- */

struct service *manager_find(const struct manager *m, const char *name)
{
	for (size_t i = 0; i < m->n_services; i++) {
		if (strcmp(m->services[i]->config->name, name) == 0)
			return m->services[i];
	}
	return NULL;
}

void service_event(struct service *s, enum machine_event event, struct machine_facts f)
{
	struct machine before = s->machine;
	unsigned actions;

	assert_true(++depth <= 2); /* no recursion: the queue is run by the outermost alone */
	events++;
	f.now = before.since + SEC;
	f.config = s->config;
	depend_facts(s, &f);
	actions = machine_step(&s->machine, event, &f);
	if (actions & ACTION_SPAWN) {
		assert_false(runs[number(s)]);
		runs[number(s)] = true;
		strcat(started, s->config->name);
	}
	if (actions & ACTION_STOP_SIGNAL)
		strcat(stopped, s->config->name);
	if (before.state != s->machine.state || before.desired_up != s->machine.desired_up ||
	    before.restart_wanted != s->machine.restart_wanted)
		depend_changed(s);
	depend_run(s->manager);
	depth--;
}

/* --- what the tests say ------------------------------------------------------------------- */

/* A service of one letter; requires and after as such strings, NULL for none. */
static struct service *add(const char *name, char **requires, char **after)
{
	size_t i = manager.n_services++;

	configs[i] = plain_config();
	configs[i].name = (char *)name;
	configs[i].requires = requires;
	configs[i].after = after;
	services[i] = (struct service){ .manager = &manager, .config = &configs[i] };
	machine_init(&services[i].machine, 1000 * SEC);
	return list[i] = &services[i];
}

static void happens_to(struct service *s, enum machine_event event)
{
	service_event(s, event, (struct machine_facts){ .reason = REASON_COMMAND });
}

static void ready(struct service *s)
{
	assert_true(runs[number(s)]);
	happens_to(s, EVENT_STARTED);
}

static void end(struct service *s, int status)
{
	assert_true(runs[number(s)]);
	runs[number(s)] = false;
	service_event(s, EVENT_ENDED,
		      (struct machine_facts){ .status = status, .tree_empty = true });
	if (s->machine.state == STATE_STOPPING)
		happens_to(s, EVENT_EMPTY);
}

static int setup(void **state)
{
	manager.n_services = 0;
	memset(runs, 0, sizeof(runs));
	started[0] = stopped[0] = '\0';
	depth = events = 0;
	return 0;
}

static int teardown(void **state)
{
	for (size_t i = 0; i < manager.n_services; i++)
		depend_unlink(&services[i]);
	return 0;
}

#define NAMES(...) ((char *[]){ __VA_ARGS__, NULL })

/* c needs b, b needs a. */
static void make_chain(struct service **a, struct service **b, struct service **c)
{
	static char *needs_a[] = { (char *)"a", NULL }, *needs_b[] = { (char *)"b", NULL };

	*c = add("c", needs_b, NULL);
	*b = add("b", needs_a, NULL);
	*a = add("a", NULL, NULL);
	assert_int_equal(depend_link_all(&manager), 0);
}

static void bring_chain_up(struct service *a, struct service *b, struct service *c)
{
	happens_to(c, EVENT_START);
	happens_to(b, EVENT_START);
	happens_to(a, EVENT_START);
	ready(a);
	ready(b);
	ready(c);
}

/* --- the tests ---------------------------------------------------------------------------- */

static void test_start_in_order(void **state)
{
	struct service *a, *b, *c;

	make_chain(&a, &b, &c);
	happens_to(c, EVENT_START);
	assert_int_equal(c->machine.state, STATE_WAITING);
	assert_ptr_equal(depend_waits_for(c), b);
	assert_true(depend_is_stuck(c)); /* nobody has started b */
	happens_to(b, EVENT_START);
	assert_false(depend_is_stuck(c));
	happens_to(a, EVENT_START);
	assert_string_equal(started, "a");
	ready(a);
	assert_string_equal(started, "ab");
	ready(b);
	assert_string_equal(started, "abc");
	assert_null(depend_waits_for(c));
}

static void test_stop_in_reverse_order(void **state)
{
	struct service *a, *b, *c;

	make_chain(&a, &b, &c);
	bring_chain_up(a, b, c);
	happens_to(c, EVENT_STOP);
	happens_to(b, EVENT_STOP);
	happens_to(a, EVENT_STOP);
	assert_string_equal(stopped, "c");
	end(c, EXIT(0));
	assert_string_equal(stopped, "cb");
	end(b, EXIT(0));
	assert_string_equal(stopped, "cba");
	end(a, EXIT(0));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(services[i].machine.state, STATE_STOPPED);
}

static void test_restart_goes_down_and_up_in_order(void **state)
{
	struct service *a, *b, *c;

	make_chain(&a, &b, &c);
	bring_chain_up(a, b, c);
	started[0] = '\0';
	happens_to(c, EVENT_RESTART);
	happens_to(b, EVENT_RESTART);
	happens_to(a, EVENT_RESTART);
	end(c, EXIT(0));
	end(b, EXIT(0));
	assert_string_equal(stopped, "cba");
	assert_string_equal(started, "");
	end(a, EXIT(0));
	ready(a);
	ready(b);
	ready(c);
	assert_string_equal(started, "abc");
}

/* Those that do not need one another stop side by side. */
static void test_stop_in_parallel(void **state)
{
	struct service *a = add("a", NULL, NULL);
	struct service *b = add("b", NAMES((char *)"a"), NULL);
	struct service *c = add("c", NAMES((char *)"a"), NULL);

	assert_int_equal(depend_link_all(&manager), 0);
	happens_to(a, EVENT_START);
	happens_to(b, EVENT_START);
	happens_to(c, EVENT_START);
	ready(a);
	ready(b);
	ready(c);
	happens_to(b, EVENT_STOP);
	happens_to(c, EVENT_STOP);
	happens_to(a, EVENT_STOP);
	assert_string_equal(stopped, "bc");
	end(c, EXIT(0));
	assert_string_equal(stopped, "bc");
	end(b, EXIT(0));
	assert_string_equal(stopped, "bca");
}

static void test_failed_dependency(void **state)
{
	struct service *a, *b, *c;

	make_chain(&a, &b, &c);
	a->config = &configs[2];
	configs[2].restart = RESTART_NO;
	happens_to(a, EVENT_START);
	happens_to(b, EVENT_START);
	happens_to(c, EVENT_START);
	end(a, EXIT(1));
	assert_int_equal(a->machine.state, STATE_FAILED);
	assert_int_equal(b->machine.state, STATE_WAITING);
	assert_true(depend_is_stuck(b));
	assert_ptr_equal(depend_waits_for(b), a);
	/* Somebody helps. */
	happens_to(a, EVENT_START);
	ready(a);
	assert_int_equal(b->machine.state, STATE_STARTING);
}

/* What ended well has done its job: those that need it may start. */
static void test_exited_dependency(void **state)
{
	struct service *a, *b, *c;

	make_chain(&a, &b, &c);
	happens_to(b, EVENT_START);
	happens_to(a, EVENT_START);
	ready(a);
	end(a, EXIT(0));
	assert_int_equal(a->machine.state, STATE_EXITED);
	assert_string_equal(started, "ab");
}

/* "after" waits for a try that is under way, and for nothing else. */
static void test_after(void **state)
{
	struct service *a = add("a", NULL, NULL);
	struct service *b = add("b", NULL, NAMES((char *)"a"));

	configs[0].restart = RESTART_NO;
	assert_int_equal(depend_link_all(&manager), 0);
	happens_to(b, EVENT_START);
	assert_string_equal(started, "b"); /* a does not start at all */
	ready(b);
	happens_to(b, EVENT_STOP);
	end(b, EXIT(0));
	happens_to(a, EVENT_START);
	happens_to(b, EVENT_START);
	assert_int_equal(b->machine.state, STATE_WAITING);
	assert_false(depend_is_stuck(b));
	end(a, EXIT(1)); /* it has had its try */
	assert_string_equal(started, "bab");
}

static void test_let_end_holds(void **state)
{
	struct service *a = add("a", NULL, NULL);

	assert_int_equal(depend_link_all(&manager), 0);
	happens_to(a, EVENT_START);
	ready(a);
	a->let_end = true;
	happens_to(a, EVENT_STOP);
	assert_string_equal(stopped, "");
	end(a, EXIT(0));
	assert_int_equal(a->machine.state, STATE_STOPPED);
}

/* The names of all that it waits for. */
static const char *awaited(const struct service *s, size_t max)
{
	static char text[N_MAX + 1];
	const struct service *found[N_MAX];
	size_t n = depend_awaited(s, found, max);

	for (size_t i = 0; i < n; i++)
		text[i] = found[i]->config->name[0];
	text[n] = '\0';
	return text;
}

/* On the way up what is missing, on the way down who must go before it; else nothing. */
static void test_awaited(void **state)
{
	struct service *a = add("a", NULL, NULL), *b = add("b", NULL, NULL);
	struct service *c = add("c", NAMES((char *)"a", (char *)"b"), NULL);
	struct service *d = add("d", NAMES((char *)"a"), NAMES((char *)"c"));

	assert_int_equal(depend_link_all(&manager), 0);
	happens_to(c, EVENT_START);
	happens_to(d, EVENT_START);
	assert_string_equal(awaited(c, N_MAX), "ab");
	assert_string_equal(awaited(c, 1), "a");
	assert_string_equal(awaited(d, N_MAX), "ac");
	happens_to(a, EVENT_START);
	happens_to(b, EVENT_START);
	ready(a);
	assert_string_equal(awaited(c, N_MAX), "b");
	assert_string_equal(awaited(a, N_MAX), "");
	ready(b);
	ready(c);
	ready(d);
	assert_string_equal(awaited(d, N_MAX), "");
	happens_to(d, EVENT_STOP);
	happens_to(c, EVENT_STOP);
	happens_to(a, EVENT_STOP);
	assert_string_equal(awaited(a, N_MAX), "cd");
	assert_string_equal(awaited(c, N_MAX), "d");
	assert_string_equal(awaited(d, N_MAX), ""); /* it stops */
	end(d, EXIT(0));
	assert_string_equal(awaited(a, N_MAX), "c");
}

/* Names that nobody has, and its own: no links, and no harm. */
static void test_strange_names(void **state)
{
	struct service *a = add("a", NAMES((char *)"a", (char *)"nobody"), NAMES((char *)"a"));

	assert_int_equal(depend_link_all(&manager), 0);
	assert_int_equal(a->n_requires + a->n_after + a->n_required_by + a->n_before, 0);
	happens_to(a, EVENT_START);
	assert_string_equal(started, "a");
}

/* The work grows with the number of links, not with the number of paths. */
static void test_diamonds_are_cheap(void **state)
{
	static char *names[N_MAX] = { (char *)"a", (char *)"b", (char *)"c", (char *)"d",
				      (char *)"e", (char *)"f", (char *)"g", (char *)"h" };
	static char *needs[N_MAX][N_MAX + 1];

	for (size_t i = 0; i < N_MAX; i++) {
		memcpy(needs[i], names, i * sizeof(*names)); /* each needs all before it */
		add(names[i], needs[i], NULL);
	}
	assert_int_equal(depend_link_all(&manager), 0);
	for (size_t i = N_MAX; i > 0; i--)
		happens_to(&services[i - 1], EVENT_START);
	for (size_t i = 0; i < N_MAX; i++)
		ready(&services[i]);
	assert_string_equal(started, "abcdefgh");
	assert_true(events < 3 * N_MAX * N_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_start_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_in_reverse_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_restart_goes_down_and_up_in_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_stop_in_parallel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_dependency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exited_dependency, setup, teardown),
		cmocka_unit_test_setup_teardown(test_after, setup, teardown),
		cmocka_unit_test_setup_teardown(test_let_end_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_awaited, setup, teardown),
		cmocka_unit_test_setup_teardown(test_strange_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_diamonds_are_cheap, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
