/* SPDX-License-Identifier: MIT */
/*
 * socketserverd: serves one handler, a plugin, where it is told to.
 *
 * This file has the command line and the order of steps. All that another daemon would
 * need as well is in the library: socketserver/host.h.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <socketserver.h>
#include <socketserver/host.h>

#include "beside.h"
#include "certificates.h"
#include "load.h"
#include "logging.h"
#include "manager.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct settings {
	const char *handler;
	const char **addresses; /* of --listen, up to a NULL */
	const char **options;   /* of -o, up to a NULL */
	struct certificates certificates;
	struct logging log;
	int mode_given;
	int check;
	struct sks_options server;
};

enum { ACCESS_LOG = 1, ACCESS_LOG_FORMAT, AGENT, CERT, CHECK, CLIENT_CA, DESCRIBE, HELP, KEY,
	LENIENT_END, LIST, LOG, LOG_FORMAT, LOG_LEVEL, METRICS, PROXY_FROM, SELF_SIGNED, VERSION,
	SERVER = 256 /* and those after it: the options of a server, by their number */ };

static const struct option own[] = {
	{ "access-log", required_argument, NULL, ACCESS_LOG },
	{ "access-log-format", required_argument, NULL, ACCESS_LOG_FORMAT },
	{ "agent", required_argument, NULL, AGENT },
	{ "cert", required_argument, NULL, CERT },
	{ "check", no_argument, NULL, CHECK },
	{ "client-ca", required_argument, NULL, CLIENT_CA },
	{ "describe", required_argument, NULL, DESCRIBE },
	{ "help", no_argument, NULL, HELP },
	{ "key", required_argument, NULL, KEY },
	{ "list-handlers", no_argument, NULL, LIST },
	{ "listen", required_argument, NULL, 'l' },
	{ "log", required_argument, NULL, LOG },
	{ "log-format", required_argument, NULL, LOG_FORMAT },
	{ "log-level", required_argument, NULL, LOG_LEVEL },
	{ "metrics", required_argument, NULL, METRICS },
	{ "option", required_argument, NULL, 'o' },
	{ "proxy-from", required_argument, NULL, PROXY_FROM },
	{ "tls-lenient-end", no_argument, NULL, LENIENT_END },
	{ "tls-self-signed", no_argument, NULL, SELF_SIGNED },
	{ "version", no_argument, NULL, VERSION },
};

/* -- what only tells something -- */

static void
help(void)
{
	char *options = sks_options_describe();

	if (options == NULL)
		err(EXIT_FAILURE, "help");
	fputs("usage: socketserverd [OPTIONS] HANDLER\n\n"
	    "Serves a handler: a name (see --list-handlers), or the path of its file with a\n"
	    "slash. Names are looked for in the folders of $SOCKETSERVER_HANDLERS, then where\n"
	    "the stock handlers were installed.\n\n"
	    "  -l, --listen ADDRESS\n"
	    "                       where to serve, any number of times: [tcp:]host:port, :port,\n"
	    "                       [::1]:port, udp:host:port, unix:/path, unix-dgram:/path,\n"
	    "                       unix:@name, fd:N, systemd: or systemd:NAME for the sockets\n"
	    "                       of LISTEN_FDS (the handler's own port, localhost only);\n"
	    "                       tls: before one that is for connections: with TLS;\n"
	    "                       proxy: before that: behind a proxy, which says who its\n"
	    "                       clients are (PROXY protocol)\n"
	    "  --metrics ADDRESS    where to serve statistics as well, for Prometheus: GET /metrics\n"
	    "  --log WHERE          the log: stderr (the default), journal, syslog, or a file\n"
	    "  --log-format FORMAT  its lines: text (the default) or json\n"
	    "  --log-level LEVEL    error, warn, info (the default) or debug, and what is graver\n"
	    "  --access-log FILE    a line for each request that has ended\n"
	    "  --access-log-format FORMAT\n"
	    "                       its lines: text or json (as --log-format)\n"
	    "  --agent ADDRESS      where to tell HAProxy as well how busy the server is (agent-check)\n"
	    "  --proxy-from LIST    which proxies are believed: addresses and networks, as\n"
	    "                       10.0.0.0/8,::1, and unix for all peers of Unix sockets\n"
	    "  --cert FILE          a certificate for TLS, with its chain; again for other names\n"
	    "  --key FILE           the key of the certificate before it, unless it is in its file\n"
	    "  --client-ca FILE     clients must have a certificate that one of these has signed\n"
	    "  --tls-lenient-end    an end without close_notify is one: for clients that say none\n"
	    "  --tls-self-signed    a certificate for this run, which nobody trusts, to try TLS\n"
	    "  -o, --option NAME=VALUE\n"
	    "                       an option of the handler (see --describe)\n"
	    "  --check              loads, reads all options, binds, and ends\n"
	    "  --list-handlers      the handlers that are found, and what they do\n"
	    "  --describe HANDLER   what it serves, its modes and options\n"
	    "  --version, --help\n\n"
	    "Options of the server, with their defaults; the mode is the handler's own. A TIME\n"
	    "is 500ms, 30s or 5m, a SIZE 100, 64k or 1G.\n\n", stdout);
	fputs(options, stdout);
	fputs("\nSIGINT or SIGTERM ends it: running requests may go on for 10 seconds, a second\n"
	    "signal ends them at once. SIGHUP has the certificates read and log files\n"
	    "opened again. Exit codes: 0, 1 for an error, 2 for a wrong use.\n", stdout);
	free(options);
}

static int
describe(const char *handler)
{
	struct sks_module *module = load_plugin(handler);
	char *text;

	if (module == NULL)
		return EXIT_FAILURE;
	text = sks_module_describe(module);
	sks_module_free(module);
	if (text == NULL) {
		warn("describe");
		return EXIT_FAILURE;
	}
	fputs(text, stdout);
	free(text);
	return EXIT_SUCCESS;
}

/*
 * Lists a plugin. One that cannot be loaded has logged why, and the others are listed all
 * the same.
 */
static int
list_one(const char *name, const char *path, void *arg)
{
	struct sks_module *module = load_plugin(path);

	if (module != NULL)
		printf("%-16s %s\n", name, sks_module_summary(module));
	else
		*(int *)arg = EXIT_FAILURE;
	sks_module_free(module);
	return 0;
}

static int
list(void)
{
	int status = EXIT_SUCCESS;

	if (sks_module_each(list_one, &status) == -1) {
		warn("list");
		return EXIT_FAILURE;
	}
	return status;
}

/* Exits, with an error when standard output did not take all that was written. */
static _Noreturn void
leave(int status)
{
	if (fflush(stdout) == EOF || ferror(stdout))
		err(EXIT_FAILURE, "standard output");
	exit(status);
}

/* -- the command line -- */

static void
append(const char **to, const char *text)
{
	while (*to != NULL)
		to++;
	*to = text;
}

static void
take_for_server(struct settings *s, const char *name, const char *value)
{
	char why[160];

	if (sks_options_set(&s->server, name, value, why, sizeof(why)) == -1)
		errx(USAGE, "--%s: %s", name, why);
	if (strcmp(name, "mode") == 0)
		s->mode_given = 1;
}

/* Returns the format of a log, if there is one of that name. */
static const char *
format_of(const char *option, const char *name)
{
	if (!logging_is_format(name))
		errx(USAGE, "%s %s: must be text or json", option, name);
	return name;
}

static void
take(struct settings *s, int option, const char *value)
{
	switch (option) {
	case AGENT:
		beside_set("agent", value);
		break;
	case CERT:
		certificates_add(&s->certificates, value);
		break;
	case CHECK:
		s->check = 1;
		break;
	case CLIENT_CA:
		s->certificates.client_ca = value;
		break;
	case KEY:
		if (certificates_add_key(&s->certificates, value) == -1)
			errx(USAGE, "--key %s: of which certificate? (--cert FILE before it)",
			    value);
		break;
	case LENIENT_END:
		s->certificates.lenient_end = 1;
		break;
	case ACCESS_LOG:
		s->log.access_file = value;
		s->server.on_end = sks_access_log;
		break;
	case ACCESS_LOG_FORMAT:
		s->log.access_format = format_of("--access-log-format", value);
		break;
	case LOG:
		s->log.where = value;
		break;
	case LOG_FORMAT:
		s->log.format = format_of("--log-format", value);
		break;
	case LOG_LEVEL:
		if (logging_set_level(value) == -1)
			errx(USAGE, "--log-level %s: must be error, warn, info or debug", value);
		break;
	case METRICS:
		beside_set("metrics", value);
		break;
	case PROXY_FROM:
		s->server.proxy_from = value;
		break;
	case SELF_SIGNED:
		s->certificates.self_signed = 1;
		break;
	case 'l':
		append(s->addresses, value);
		break;
	case 'o':
		append(s->options, value);
		break;
	case DESCRIBE:
		leave(describe(value));
	case LIST:
		leave(list());
	case HELP:
		help();
		leave(EXIT_SUCCESS);
	case VERSION:
		printf("socketserverd %s\n", sks_version());
		leave(EXIT_SUCCESS);
	default:
		if (option < SERVER)
			exit(USAGE); /* getopt_long has said why */
		take_for_server(s, sks_options_name((unsigned int)(option - SERVER)), value);
	}
}

/* Our own and those of a server, up to one without a name. */
static struct option *
all_options(void)
{
	struct option *all;
	unsigned int n = 0, i;

	while (sks_options_name(n) != NULL)
		n++;
	all = calloc(COUNT(own) + n + 1, sizeof(*all));
	if (all == NULL)
		err(EXIT_FAILURE, "command line");
	memcpy(all, own, sizeof(own));
	for (i = 0; i < n; i++)
		all[COUNT(own) + i] = (struct option){ sks_options_name(i), required_argument, NULL,
			SERVER + (int)i };
	return all;
}

static void
parse(struct settings *s, int argc, char **argv)
{
	struct option *known = all_options();
	int option;

	/* Room for the default, and for NULL. */
	s->addresses = calloc((size_t)argc + 2, sizeof(*s->addresses));
	s->options = calloc((size_t)argc + 1, sizeof(*s->options));
	s->certificates.all = calloc((size_t)argc, sizeof(*s->certificates.all));
	if (s->addresses == NULL || s->options == NULL || s->certificates.all == NULL)
		err(EXIT_FAILURE, "command line");
	while ((option = getopt_long(argc, argv, "l:o:", known, NULL)) != -1)
		take(s, option, optarg);
	free(known);
	if (optind == argc)
		errx(USAGE, "which handler? (see --help and --list-handlers)");
	if (optind + 1 < argc)
		errx(USAGE, "one handler, please: %s is too much", argv[optind + 1]);
	s->handler = argv[optind];
	if (s->server.max_connections > 0)
		s->server.max_connections = sks_process_raise_open_files(s->server.max_connections);
}

/* -- serving -- */

static struct sks_server *serving;
static struct sks_tls *tls; /* NULL: there are no certificates */

/* sks_server_shutdown() is one of the few calls that a signal handler may make. */
static void
on_stop(int signo)
{
	(void)signo;
	sks_server_shutdown(serving);
}

static volatile sig_atomic_t hung_up; /* SIGHUP has come */

static void
on_hangup(int signo)
{
	(void)signo;
	hung_up = 1;
}

static void
reload(void)
{
	hung_up = 0;
	manager_tell_reloading();
	if (tls != NULL)
		(void)sks_tls_reload(tls); /* which logs what it did */
	if (!logging_reopen() && tls == NULL)
		sks_log(SKS_LOG_WARN, "SIGHUP: there are no certificates or log file to open again");
}

/* On the thread of the first loop, which a process that forks has alone. */
static void
on_tick(struct sks_server *server, void *data)
{
	(void)data;
	if (hung_up)
		reload();
	manager_tick(server);
}

/* A signal that is ignored stays ignored: a shell does that for background jobs, and nohup(1). */
static void
catch_signal(int signo, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART }, before;

	if (sigaction(signo, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(signo, &action, NULL);
}

static void
default_address(struct settings *s, const struct sks_module *module, char *buf, size_t size)
{
	if (s->addresses[0] != NULL)
		return;
	if (sks_module_port(module) == 0 || !(sks_module_serves(module) & SKS_STREAMS))
		errx(USAGE, "%s: where? (--listen ADDRESS)", sks_module_name(module));
	snprintf(buf, size, "localhost:%d", sks_module_port(module));
	append(s->addresses, buf);
}

/* Exits when one is wrong, which the library has logged. */
static void
set_options(struct sks_module *module, const char *const *options)
{
	for (; *options != NULL; options++)
		if (sks_module_set(module, *options) == -1)
			exit(errno == EINVAL ? USAGE : EXIT_FAILURE);
}

/* Returns 0, or the exit code. */
static int
listen_on(struct sks_module *module, const char *const *addresses)
{
	for (; *addresses != NULL; addresses++)
		if (sks_module_listen(module, serving, *addresses) == -1)
			return listen_code(*addresses);
	return beside_listen(serving);
}

/*
 * The passed sockets were for this process, which has taken them. So the environment that
 * handlers and their children see must not name them any more. The program does this, as
 * the environment does not belong to the library.
 */
static void
forget_passed_sockets(void)
{
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

/*
 * With options.stop_signals the library catches the stop signals while it serves. A signal
 * may come before that, so the program has a signal handler, too.
 */
static int
serve(void)
{
	int rc;

	catch_signal(SIGINT, on_stop);
	catch_signal(SIGTERM, on_stop);
	catch_signal(SIGHUP, on_hangup);
	sks_server_log_addresses(serving);
	manager_tell_ready(serving);
	rc = sks_serve_forever(serving);
	if (rc == -1 && errno == ETIMEDOUT)
		sks_log(SKS_LOG_ERROR, "some requests did not end in time and were cut off");
	else if (rc == -1)
		sks_log(SKS_LOG_ERROR, "serve: %m");
	catch_signal(SIGINT, SIG_IGN);
	catch_signal(SIGTERM, SIG_IGN);
	manager_tell_stopped();
	sks_server_log_statistics(serving);
	return rc;
}

/* Returns the exit code. */
static int
run(struct settings *s)
{
	struct sks_module *module = load_plugin(s->handler);
	int code = EXIT_FAILURE;
	char address[32];

	if (module != NULL)
		set_options(module, s->options);
	if (module != NULL && certificates_read(&s->certificates, s->addresses, &tls) == 0) {
		s->server.tls = tls;
		default_address(s, module, address, sizeof(address));
		if (!s->mode_given)
			s->server.mode = sks_module_mode(module);
		serving = sks_module_server_new(module, &s->server);
		if (serving == NULL && errno == EINVAL)
			code = USAGE; /* such as a wrong --proxy-from; the library has said why */
	}
	/* Errors up to here are on standard error, where whoever has started it looks. */
	if (serving != NULL && (code = listen_on(module, s->addresses)) == EXIT_SUCCESS) {
		code = EXIT_FAILURE;
		if (logging_open(&s->log) == 0) {
			forget_passed_sockets();
			code = s->check || serve() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		}
	}
	sks_server_free(serving);
	logging_close();
	sks_tls_free(tls);
	beside_free();
	sks_module_free(module);
	return code;
}

int
main(int argc, char **argv)
{
	struct settings settings = { .server = { .stop_signals = 1, .on_tick = on_tick } };
	int code;

	sks_process_reset_signals();
	if (sks_process_fill_standard_files() == -1)
		err(EXIT_FAILURE, "/dev/null");
	manager_set_tick(&settings.server);
	parse(&settings, argc, argv);
	code = run(&settings);
	free(settings.addresses);
	free(settings.options);
	free(settings.certificates.all);
	return code;
}
