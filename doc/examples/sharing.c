/* SPDX-License-Identifier: MIT */
/* What a child shares with its parent, and what it has a copy of. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <foster/process.h>

static int number = 1; /* memory: copied */
static FILE *file;     /* unbuffered, so that its position is the kernel's: shared */
static int receiver, sender;

static int run_p1(void *arg)
{
	number = 2;
	printf("memory: p1 has %d\n", number);
	return 0;
}

static int run_p2(void *arg)
{
	printf("memory: p2 begins with %d\n", number);
	number = 3;
	printf("memory: p2 has %d\n", number);
	return 0;
}

static void read_line(const char *who)
{
	char line[16];

	if (fgets(line, sizeof(line), file))
		printf("file: %s reads %s", who, line);
}

static int run_reader(void *arg)
{
	read_line("the child");
	return 0;
}

static int run_speaker(void *arg)
{
	return send(sender, "hello", 5, 0) == 5 ? 0 : 1;
}

static int run_to_its_end(foster_process_run *run)
{
	foster_process *process = foster_process_new(NULL, run, NULL);
	int code = -1;

	if (!process || foster_process_start(process) < 0 || foster_process_join(process, -1) < 0 ||
	    foster_process_exitcode(process, &code) < 0)
		exit(1);
	foster_process_free(process);
	return code;
}

/* Two sockets on this machine, bound here and nowhere else; sender's peer is receiver. */
static void open_sockets(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	socklen_t size = sizeof(here);

	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	receiver = socket(AF_INET, SOCK_DGRAM, 0);
	sender = socket(AF_INET, SOCK_DGRAM, 0);
	if (bind(sender, (struct sockaddr *)&here, size) < 0 ||
	    bind(receiver, (struct sockaddr *)&here, size) < 0 ||
	    getsockname(receiver, (struct sockaddr *)&here, &size) < 0 ||
	    connect(sender, (struct sockaddr *)&here, size) < 0)
		exit(1);
}

static int port_of(int fd)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);

	return getsockname(fd, (struct sockaddr *)&a, &size) < 0 ? -1 : ntohs(a.sin_port);
}

static int port_of_who_spoke(void)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	char text[16];

	if (recvfrom(receiver, text, sizeof(text), 0, (struct sockaddr *)&a, &size) < 0)
		return -1;
	return ntohs(a.sin_port);
}

int main(void)
{
	run_to_its_end(run_p1);
	run_to_its_end(run_p2);
	printf("memory: the parent has %d\n", number);

	file = tmpfile();
	if (!file)
		return 1;
	fputs("one\ntwo\nthree\n", file);
	rewind(file);
	setvbuf(file, NULL, _IONBF, 0);
	read_line("the parent");
	run_to_its_end(run_reader);
	read_line("the parent");
	fclose(file);

	open_sockets();
	run_to_its_end(run_speaker);
	printf("socket: the child spoke from port %d, the parent is bound to %d\n",
	       port_of_who_spoke(), port_of(sender));
	return 0;
}
