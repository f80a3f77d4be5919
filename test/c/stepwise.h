/* For programs that print a line for each step: what a call gave, or its error in words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *done(long result)
{
	static char text[4][48];
	static unsigned next;
	char *to = text[next++ % 4];
	if (result < 0)
		snprintf(to, sizeof text[0], "%s", strerror(errno));
	else
		snprintf(to, sizeof text[0], "%ld", result);
	return to;
}

/* A number of no descriptor: it was one just now. Linux's select looks only as far as its table of descriptors has grown, so 78 may be none of its business. */
static inline int not_open(void)
{
	int fd = dup(0);
	close(fd);
	return fd;
}
