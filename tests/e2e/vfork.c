/* SPDX-License-Identifier: MIT */
/*
 * test-vfork FILE: waits for ever in vfork(2) for a child that never executes, as who is stopped
 * between the two does. Writes both pids to FILE, from the child.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
	char text[64];
	int fd;

	if (argc != 2)
		return 2;
	if (vfork() == 0) {
		snprintf(text, sizeof(text), "%d %d\n", (int)getppid(), (int)getpid());
		fd = open(argv[1], O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	return 1;
}
