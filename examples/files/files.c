/* SPDX-License-Identifier: MIT */
/*
 * files: a folder over HTTP/1.1, as python3 -m http.server, but without lists of folders. A file
 * goes out by sks_sendfile(): no byte of it passes through this program, and a disk that is slow
 * keeps no other client waiting.
 * Symbolic links are followed, also out of the folder: whoever can make one there decides that.
 *
 *     cc -shared -fPIC -o files.so files.c $(pkg-config --cflags socketserver)
 *     socketserverd ./files.so -o root=/srv/www --listen :8080
 *     curl http://localhost:8080/index.html
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <socketserver.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_HEADERS 100

struct config {
	const char *root;
};

static const struct sks_plugin_option options[] = {
	{ .name = "root", .help = "the folder to serve", .type = SKS_OPTION_PATH, .required = 1,
	    SKS_OPTION_AT(struct config, root) },
	{ 0 },
};

/* One request. */
struct ask {
	char path[PATH_MAX];
	int is_head; /* the headers alone */
	int is_last; /* the connection ends behind it */
};

static const char *
type_of(const char *path)
{
	static const char *const types[][2] = {
		{ ".html", "text/html; charset=utf-8" }, { ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" }, { ".txt", "text/plain; charset=utf-8" },
		{ ".png", "image/png" }, { ".jpg", "image/jpeg" }, { ".svg", "image/svg+xml" },
	};
	const char *dot = strrchr(path, '.');
	size_t i;

	for (i = 0; dot != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return "application/octet-stream";
}

static int
hex(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Decodes %XX in place, and ends at '?'. 0, or -1 where it is no path of a file below the root. */
static int
decode(char *path)
{
	char *to = path;

	if (path[0] != '/')
		return -1;
	for (; *path != '\0' && *path != '?'; path++) {
		char c = *path;

		if (c == '%') {
			if (!isxdigit((unsigned char)path[1]) || !isxdigit((unsigned char)path[2]))
				return -1;
			c = (char)(hex(path[1]) << 4 | hex(path[2]));
			path += 2;
		}
		/* No "..", and nothing that is hidden: no name begins with a dot. */
		if (c == '\0' || (c == '.' && to[-1] == '/'))
			return -1;
		*to++ = c;
	}
	*to = '\0';
	return 0;
}

static int
begins(const char *line, const char *with)
{
	return strncasecmp(line, with, strlen(with)) == 0;
}

/* Reads the headers of a request. 0, or -1. */
static int
read_headers(struct sks_request *req, struct ask *ask)
{
	char *line;
	int i;

	for (i = 0; i < MOST_HEADERS; i++) {
		line = sks_gets(req->rfile);
		if (line == NULL)
			return -1;
		if (line[0] == '\0')
			return 0;
		/* A request with a body is answered, but its body is not read. */
		if (begins(line, "Connection: close") || begins(line, "Content-Length:") ||
		    begins(line, "Transfer-Encoding:"))
			ask->is_last = 1;
	}
	errno = EMSGSIZE;
	return -1;
}

static int
answer(struct sks_request *req, const struct ask *ask, const char *status, const char *type,
    int64_t length)
{
	return sks_printf(req->wfile,
	    "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %" PRId64 "\r\n%s\r\n", status, type,
	    length, ask->is_last ? "Connection: close\r\n" : "");
}

static int
refuse(struct sks_request *req, const struct ask *ask, const char *status)
{
	if (answer(req, ask, status, "text/plain", (int64_t)strlen(status) + 1) == -1)
		return -1;
	return ask->is_head ? 0 : sks_printf(req->wfile, "%s\n", status);
}

static int
send_file(struct sks_request *req, const struct ask *ask)
{
	int fd = open(ask->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int rc = -1, error;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		rc = refuse(req, ask, "404 Not Found");
	else if (answer(req, ask, "200 OK", type_of(ask->path), st.st_size) == 0)
		rc = ask->is_head ? 0 : sks_sendfile(req->wfile, fd, 0, st.st_size);
	error = errno;
	if (fd != -1)
		close(fd);
	errno = error;
	return rc;
}

/* Cuts a request line, such as "GET /a%20file HTTP/1.1", into its three words. 0, or -1. */
static int
split(char *line, char *words[3])
{
	char *rest = NULL;
	int i;

	for (i = 0; i < 3; i++) {
		words[i] = strtok_r(i == 0 ? line : NULL, " ", &rest);
		if (words[i] == NULL)
			return -1;
	}
	return 0;
}

/* One request; then the connection waits for the next one without a fiber. */
static int
handle(struct sks_request *req)
{
	const struct config *config = req->data;
	const char *refusal = NULL;
	struct ask ask = { .is_head = 0 };
	char *line = sks_gets(req->rfile), *words[3];

	if (line == NULL)
		return sks_end(req->rfile);
	if (split(line, words) == -1 || decode(words[1]) == -1 ||
	    (size_t)snprintf(ask.path, sizeof(ask.path), "%s%s%s", config->root, words[1],
		words[1][strlen(words[1]) - 1] == '/' ? "index.html" : "") >= sizeof(ask.path))
		refusal = "400 Bad Request";
	else if (strcmp(words[0], "HEAD") == 0)
		ask.is_head = 1;
	else if (strcmp(words[0], "GET") != 0)
		refusal = "501 Not Implemented";
	if (refusal != NULL || strcmp(words[2], "HTTP/1.1") != 0)
		ask.is_last = 1; /* what follows may be no request */
	if (read_headers(req, &ask) == -1)
		return -1;
	if ((refusal != NULL ? refuse(req, &ask, refusal) : send_file(req, &ask)) == -1)
		return -1;
	return ask.is_last ? SKS_DONE : SKS_KEEP;
}

SKS_PLUGIN(
    .name = "files",
    .summary = "serves the files of a folder over HTTP",
    .handler = { .handle = handle, .client_first = 1 },
    .options = options,
    .config_size = sizeof(struct config),
    .serves = SKS_STREAMS,
    .port = 8080);
