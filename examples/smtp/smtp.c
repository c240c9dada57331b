/* SPDX-License-Identifier: MIT */
/*
 * smtp: takes mail (RFC 5321) for anybody into a Maildir; without one it is dropped.
 *
 *     cc -shared -fPIC -o smtp.so smtp.c $(pkg-config --cflags socketserver)
 *     mkdir -p Mail/tmp Mail/new Mail/cur && socketserverd ./smtp.so -o maildir=Mail
 *
 * The server greets first, and setup and handle keep: a silent client has no fiber. A line of
 * a mail ends with CR LF alone: where servers differ, an author could put another mail behind.
 */
#include <errno.h>
#include <socketserver.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define reply(req, ...) (sks_printf((req)->wfile, __VA_ARGS__) == 0 ? SKS_KEEP : -1)

struct config { const char *maildir, *host; int size; };

static const struct sks_plugin_option options[] = {
	{ .name = "maildir", .help = "where mail goes; without it mail is dropped", .max = 380,
	    .type = SKS_OPTION_PATH, SKS_OPTION_AT(struct config, maildir) },
	{ .name = "host", .help = "our name", .value = "localhost", .min = 1, .max = 63,
	    .type = SKS_OPTION_STRING, SKS_OPTION_AT(struct config, host) },
	{ .name = "size", .help = "the largest mail", .value = "1M", .min = 1024, .max = 1 << 30,
	    .type = SKS_OPTION_SIZE, SKS_OPTION_AT(struct config, size) },
	{ 0 },
};

struct session {
	FILE *mail; /* writes n bytes to text; NULL: no MAIL yet */
	char *text;
	size_t n;
	int has_helo, recipients;
	int error; /* why the mail was not saved; 0: it was */
};

/* On a helper thread, as a disk may be slow. */
static void
save_mail(void *arg)
{
	static atomic_uint count;
	const struct config *config = ((struct sks_request *)arg)->data;
	struct session *s = ((struct sks_request *)arg)->state;
	char tmp[512], new[512];
	int is_saved;
	FILE *file;

	snprintf(tmp, sizeof(tmp), "%s/tmp/%lld.P%dQ%u.%s", config->maildir, (long long)time(NULL),
	    (int)getpid(), atomic_fetch_add(&count, 1), config->host);
	memcpy(new, tmp, sizeof(new));
	memcpy(new + strlen(config->maildir) + 1, "new", 3);
	file = fopen(tmp, "wxe");
	is_saved = file != NULL && fwrite(s->text, 1, s->n, file) == s->n && fflush(file) == 0 &&
	    fsync(fileno(file)) == 0 && rename(tmp, new) == 0;
	s->error = is_saved ? 0 : errno;
	if (file != NULL && fclose(file) == 0 && !is_saved)
		unlink(tmp);
}

/* Ends the mail, and saves it first. Returns the session, which tells why it is not. */
static struct session *
end_mail(struct sks_request *req, int save)
{
	const struct config *config = req->data;
	struct session *s = req->state;

	s->error = 0;
	if (s->mail != NULL && (fclose(s->mail) == EOF ||
	    (save && config->maildir != NULL && sks_offload(save_mail, req) == -1)))
		s->error = errno;
	free(s->text);
	*s = (struct session){ .has_helo = s->has_helo, .error = s->error };
	return s;
}

/* Reads the text of a mail to its end. Returns the answer, or NULL: the client is gone. */
static const char *
read_mail(struct sks_request *req)
{
	int is_begin = 1, is_whole, dot, left = ((const struct config *)req->data)->size;
	FILE *mail = ((struct session *)req->state)->mail;
	const char *answer = "250 2.0.0 taken";
	ssize_t n;
	char *line;

	for (; (n = sks_readline(req->rfile, &line)) > 0; is_begin = is_whole) {
		is_whole = n >= 2 && line[n - 2] == '\r' && line[n - 1] == '\n';
		dot = is_begin && line[0] == '.';
		if (dot && is_whole && n == 3)
			return answer;
		if (!is_whole)
			answer = "554 5.6.0 a line ends without CR LF";
		else if (n - dot > left)
			answer = "552 5.3.4 the mail is too large";
		else {
			left -= (int)n - dot;
			line[n - 2] = '\n';
			fwrite(line + dot, 1, (size_t)(n - 1 - dot), mail);
		}
	}
	if (n == -1 && errno == EMSGSIZE)
		(void)reply(req, "500 5.6.0 a line is too long\r\n");
	return NULL;
}

/* -- commands; arg is what stands behind the command, word what the table says of it -- */
static int
on_data(struct sks_request *req, char *arg, const char *word)
{
	const char *answer;

	if (((struct session *)req->state)->recipients == 0)
		return reply(req, "503 5.5.1 RCPT first\r\n");
	if (strcmp(arg, word) != 0)
		return reply(req, "501 5.5.4 only DATA\r\n");
	reply(req, "354 go on, up to a dot on a line of its own\r\n");
	answer = read_mail(req);
	if (answer == NULL) /* finish drops the mail */
		return sks_end(req->rfile);
	errno = end_mail(req, answer[0] == '2')->error;
	if (errno != 0 && answer[0] == '2') {
		sks_log(SKS_LOG_ERROR, "a mail is not kept: %m");
		answer = "451 4.3.0 the mail cannot be kept";
	}
	return reply(req, "%s\r\n", answer);
}

static int
on_helo(struct sks_request *req, char *arg, const char *word)
{
	const struct config *config = req->data;

	if (*arg == '\0')
		return reply(req, "501 5.5.4 and your name?\r\n");
	end_mail(req, 0)->has_helo = 1;
	return *word == '\0' ? reply(req, "250 %s\r\n", config->host) :
	    reply(req, "250-%s\r\n250-PIPELINING\r\n250 SIZE %d\r\n", config->host, config->size);
}

/* Reads "FROM:<path> PARAMETERS". Returns the parameters, or NULL: it is none. */
static char *
read_path(char *arg, const char *word, char path[257])
{
	size_t n = strlen(word);

	if (strncasecmp(arg, word, n) != 0 || arg[n += strspn(arg + n, " ")] != '<')
		return NULL;
	arg += n + 1;
	n = strcspn(arg, "<> ");
	if (arg[n] != '>' || n > 256 || strchr(" ", arg[n + 1]) == NULL)
		return NULL;
	sks_escape(arg, n, path, 257);
	return arg + n + 1;
}

static int
on_mail(struct sks_request *req, char *arg, const char *word)
{
	const struct config *config = req->data;
	struct session *s = req->state;
	char from[257], *rest = read_path(arg, word, from);
	int has_size = rest != NULL && strncasecmp(rest, " SIZE=", 6) == 0;

	if (!s->has_helo || s->mail != NULL)
		return reply(req, "503 5.5.1 %s first\r\n", s->has_helo ? "RSET" : "HELO");
	if (rest == NULL || (*rest != '\0' && !has_size))
		return reply(req, "%s\r\n",
		    rest == NULL ? "501 5.5.4 a path?" : "555 5.5.4 a parameter?");
	if (has_size && strtod(rest + 6, NULL) > config->size)
		return reply(req, "552 5.3.4 the mail is too large\r\n");
	s->mail = open_memstream(&s->text, &s->n);
	if (s->mail == NULL || fprintf(s->mail, "Return-Path: <%s>\n", from) < 0)
		return reply(req, "451 4.3.0 no memory\r\n");
	return reply(req, "250 2.1.0 from there\r\n");
}

static int
on_rcpt(struct sks_request *req, char *arg, const char *word)
{
	struct session *s = req->state;
	char to[257], *rest = read_path(arg, word, to);

	if (s->mail == NULL)
		return reply(req, "503 5.5.1 MAIL first\r\n");
	if (rest == NULL || to[0] == '\0' || *rest != '\0')
		return reply(req, "501 5.1.3 RCPT TO:<path>\r\n");
	if (s->recipients++ >= 100) /* as RFC 5321 wants it at least */
		return reply(req, "452 4.5.3 too many recipients\r\n");
	fprintf(s->mail, "Delivered-To: %s\n", to);
	return reply(req, "250 2.1.5 to there\r\n");
}

static const struct command {
	const char *name, *word; /* word is the answer where there is no function */
	int (*run)(struct sks_request *, char *arg, const char *word);
} commands[] = {
	{ "HELO", "", on_helo }, { "EHLO", "extended", on_helo }, { "MAIL", "FROM:", on_mail },
	{ "RCPT", "TO:", on_rcpt }, { "DATA", "", on_data }, { "RSET", "250 2.0.0 forgotten", NULL },
	{ "QUIT", "221 2.0.0 bye", NULL }, { "NOOP", "250 2.0.0 fine", NULL },
	{ "VRFY", "252 2.1.5 send a mail and see", NULL }, { NULL, NULL, NULL },
};

static int
serve(struct sks_request *req)
{
	const struct command *c = commands;
	char *line = sks_gets(req->rfile);

	if (line == NULL && errno == EMSGSIZE && sks_skipline(req->rfile) == 1)
		return reply(req, "500 5.5.2 too long\r\n");
	if (line == NULL)
		return sks_end(req->rfile);
	if (sks_is_http(line, strlen(line)) && (errno = EPROTONOSUPPORT)) /* a web page speaks */
		return -1;
	while (c->name != NULL &&
	    (strncasecmp(line, c->name, 4) != 0 || strchr(" ", line[4]) == NULL))
		c++;
	if (c->name == NULL)
		return reply(req, "500 5.5.2 no such command\r\n");
	if (c->run != NULL)
		return c->run(req, line + 4 + strspn(line + 4, " "), c->word);
	if (strcmp(c->name, "RSET") == 0)
		end_mail(req, 0);
	return reply(req, "%s\r\n", c->word) == -1 || c->word[1] == '2' ? SKS_DONE : SKS_KEEP;
}

static int
greet(struct sks_request *req)
{
	return reply(req, "220 %s ESMTP\r\n", ((const struct config *)req->data)->host);
}

static void
finish(struct sks_request *req)
{
	if (end_mail(req, 0) && sks_draining(req))
		(void)reply(req, "421 4.3.2 we stop\r\n");
}

/* init leaves *data alone, so req->data is the configuration. */
static int
init(const void *data, void **unused)
{
	const struct config *config = data;
	char part[400];

	(void)unused;
	if (config->maildir == NULL)
		return 0;
	snprintf(part, sizeof(part), "%s/tmp", config->maildir);
	if (access(part, W_OK) == -1)
		return -1;
	snprintf(part, sizeof(part), "%s/new", config->maildir);
	return access(part, W_OK);
}

SKS_PLUGIN(.name = "smtp", .summary = "takes mail (RFC 5321) into a Maildir",
    .handler = { .setup = greet, .handle = serve, .finish = finish,
	.state_size = sizeof(struct session) }, .options = options, .config_size = sizeof(struct config),
    .init = init, .serves = SKS_STREAMS, .port = 2526, .idle_ms = 300000); /* RFC 5321, 4.5.3.2 */
