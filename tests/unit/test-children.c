/* SPDX-License-Identifier: MIT */
/*
 * A living child is in the list of its parent's children, however many others are reaped while the
 * list is read. The kernel alone does not promise that: what it passes over in one reading of the
 * file is seen in some of a hundred rounds here.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "manager/proc.h"

#define ROUNDS 300
#define SHORT  30 /* children that end while the list is read */

/* Shared by the reader, which is the test, and the parent whose children it reads. */
struct stage {
	atomic_int round; /* whose children are there: from 1; -1 when the parent could not fork */
	atomic_int looks; /* begun by the reader in this round */
	atomic_int finished; /* the last round whose short children are all reaped */
	atomic_int seen;     /* the last round that the reader is through with */
	atomic_int lasting;  /* the pid of the one that lives through the round */
};

static void wait_for(atomic_int *what, int value)
{
	while (atomic_load(what) < value)
		sched_yield();
}

/* Forks one that waits until the pipe has no writer any more. */
static pid_t fork_waiting(const int gate[2])
{
	pid_t pid = fork();
	char c;

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(gate[1]);
		_exit(read(gate[0], &c, 1) < 0);
	}
	return pid;
}

static bool play_round(struct stage *stage, int round)
{
	int gate[2], lasting_gate[2];
	pid_t pids[SHORT], lasting;

	if (pipe(gate) < 0 || pipe(lasting_gate) < 0)
		return false;
	for (int i = 0; i < SHORT; i++) {
		pids[i] = fork_waiting(gate);
		if (pids[i] < 0)
			return false;
	}
	lasting = fork();
	if (lasting < 0)
		return false;
	if (lasting == 0) {
		close(gate[1]);
		close(lasting_gate[1]);
		_exit(read(lasting_gate[0], gate, 1) < 0);
	}
	atomic_store(&stage->lasting, lasting);
	atomic_store(&stage->looks, 0);
	atomic_store(&stage->round, round);
	wait_for(&stage->looks, 1);
	close(gate[1]);
	for (int i = 0; i < SHORT; i++)
		waitpid(pids[i], NULL, 0);
	atomic_store(&stage->finished, round);
	wait_for(&stage->seen, round);
	close(lasting_gate[1]);
	waitpid(lasting, NULL, 0);
	close(gate[0]);
	close(lasting_gate[0]);
	return true;
}

static _Noreturn void be_parent(struct stage *stage)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int round = 1; round <= ROUNDS; round++) {
		if (!play_round(stage, round)) {
			atomic_store(&stage->round, -1);
			_exit(1);
		}
	}
	_exit(0);
}

static void test_a_living_child_is_never_left_out(void **state)
{
	struct stage *stage = mmap(NULL, sizeof(*stage), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, unstable = 0, looks = 0;
	pid_t parent;

	assert_ptr_not_equal(stage, MAP_FAILED);
	parent = fork();
	assert_true(parent >= 0);
	if (parent == 0)
		be_parent(stage);
	for (int round = 1; round <= ROUNDS; round++) {
		while (atomic_load(&stage->round) >= 0 && atomic_load(&stage->round) < round)
			sched_yield();
		assert_int_equal(atomic_load(&stage->round), round);
		do {
			_cleanup_pids_ struct pid_list l = { 0 };
			int error;

			atomic_fetch_add(&stage->looks, 1);
			error = proc_children(parent, &l);
			looks++;
			if (error == -EAGAIN) {
				unstable++;
				continue;
			}
			assert_int_equal(error, 0);
			assert_true(pid_list_has(&l, atomic_load(&stage->lasting)));
		} while (atomic_load(&stage->finished) < round);
		atomic_store(&stage->seen, round);
	}
	print_message("%d looks, %d of them at a list that did not stand still\n", looks, unstable);
	assert_true(unstable < looks);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_int_equal(status, 0);
	munmap(stage, sizeof(*stage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_living_child_is_never_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
