/* Lines, as libc has them: what a handler here does with sks_gets() and sks_puts(). */

#include "echo.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
echo(int fd)
{
	FILE *in = fdopen(fd, "r"), *out = fdopen(dup(fd), "w");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int failed;

	if (in == NULL || out == NULL)
		err(1, "fdopen");
	while ((n = getline(&line, &size, in)) > 0)
		if (fwrite(line, 1, (size_t)n, out) != (size_t)n || fflush(out) != 0)
			break;
	failed = ferror(in) || ferror(out);
	free(line);
	fclose(out);
	fclose(in);
	return failed;
}
