/* SPDX-License-Identifier: MIT */
/*
 * socketserver/plugin.h - a handler in a file of its own, for any program that
 * hosts handlers: socketserverd, or yours (socketserver/host.h).
 *
 *     #include <socketserver.h>
 *
 *     struct config {
 *     	const char *greeting;
 *     };
 *
 *     static const struct sks_plugin_option options[] = {
 *     	{ .name = "greeting", .help = "what to say", .value = "Hello!",
 *     	    .type = SKS_OPTION_STRING, SKS_OPTION_AT(struct config, greeting) },
 *     	{ 0 },
 *     };
 *
 *     static int hello(struct sks_request *req)
 *     {
 *     	const struct config *config = req->data;
 *
 *     	return sks_printf(req->wfile, "%s\n", config->greeting);
 *     }
 *
 *     SKS_PLUGIN(.name = "hello", .summary = "greets each client", .handler = { .handle = hello },
 *         .options = options, .config_size = sizeof(struct config));
 *
 *     cc -shared -fPIC -o hello.so hello.c $(pkg-config --cflags socketserver)
 *
 * A plugin links to no library of ours: its host has it. Nothing is loaded
 * twice and nothing is ever unloaded, so static data, threads and atexit
 * functions of a plugin are safe.
 *
 * Versions. The contract has a version of its own, SKS_PLUGIN_MAJOR.MINOR. A
 * new minor version only appends members, to struct sks_plugin, sks_handler or
 * sks_plugin_option, whose zero means what was before, or adds values; the
 * plugin tells the sizes it was built with. So a library takes each plugin of
 * its major version and of its own or an older minor one, without a new build;
 * it refuses newer ones and other major versions by name.
 */
#ifndef SOCKETSERVER_PLUGIN_H
#define SOCKETSERVER_PLUGIN_H

#include <socketserver/export.h>
#include <socketserver/request.h>
#include <socketserver/server.h>
#include <stddef.h>
#include <stdint.h>

SKS_BEGIN_DECLS

#define SKS_PLUGIN_MAGIC 0x50534b53 /* "SKSP" */
#define SKS_PLUGIN_MAJOR 1
#define SKS_PLUGIN_MINOR 0

/* sks_plugin_option.type: what its text may be, and what it becomes. */
#define SKS_OPTION_STRING 1   /* any text; const char * */
#define SKS_OPTION_INTEGER 2  /* a decimal number; int or int64_t */
#define SKS_OPTION_SIZE 3     /* bytes, or with k, M, G times 1024, 1024^2, 1024^3; int, int64_t
                                 or size_t */
#define SKS_OPTION_DURATION 4 /* with ms, s, m or h, or 0; milliseconds, int or int64_t */
#define SKS_OPTION_BOOLEAN 5  /* yes no, on off, true false, 1 0; int, 1 or 0 */
#define SKS_OPTION_PATH 6     /* a file's name, made absolute; const char * */

/*
 * An option of a plugin: where its value goes in the plugin's own struct of
 * configuration. A table of them ends with one that has no name.
 */
struct sks_plugin_option {
	const char *name;  /* for -o name=value */
	const char *help;  /* a few words */
	const char *value; /* the default, as text; NULL: zero, or a NULL string */
	int type;          /* SKS_OPTION_STRING, ... */
	int required;      /* not 0: it must be set */
	size_t offset;     /* of the member in the struct: SKS_OPTION_AT() */
	size_t size;       /* of the member */
	int64_t min;       /* bounds of the number, of a string its length in bytes; */
	int64_t max;       /* both 0: what the type and the member can hold */
};

/* The member of the struct that the option is kept in. */
#define SKS_OPTION_AT(type_, member_) \
	.offset = offsetof(type_, member_), .size = sizeof(((type_ *)0)->member_)

/* sks_plugin.serves */
#define SKS_STREAMS 1   /* connections */
#define SKS_DATAGRAMS 2 /* datagrams */

/* sks_plugin.refuses: one bit for each mode, as SKS_REFUSES(SKS_PROCESSES). */
#define SKS_REFUSES(mode_) (1 << (mode_))

/*
 * What a plugin says of itself: one constant that SKS_PLUGIN() exports.
 *
 * init   optional; once for each process that hosts the plugin, when all
 *        options are set and before the first request. What it puts into *data
 *        is req->data of each request; without init that is config itself, or
 *        NULL without config_size. 0, or -1 and errno: the host says why and
 *        does not start. config stays valid until exit has returned.
 * exit   optional; once, after the last request of this process, when init
 *        held. Children that SKS_PROCESSES forks for their requests have a copy
 *        of data and call neither.
 */
struct sks_plugin {
	uint32_t magic;        /* The first six are filled in by SKS_PLUGIN(). */
	uint16_t major;
	uint16_t minor;
	uint32_t size;         /* of this struct */
	uint32_t handler_size; /* of struct sks_handler in it */
	uint32_t option_size;  /* of struct sks_plugin_option */
	uint32_t reserved;     /* 0 */
	const char *name;      /* letters, digits, - and _; the file is name.so */
	const char *summary;   /* one line: what it does */
	struct sks_handler handler;
	const struct sks_plugin_option *options; /* NULL: it has none */
	size_t config_size;    /* bytes of the struct that options fill in */
	int (*init)(const void *config, void **data);
	void (*exit)(void *data);
	const char *refuses_why; /* "processes share no memory": for refuses */
	int refuses;           /* modes it can not run in: SKS_REFUSES(...) | ... */
	int mode;              /* the one to take when none is asked for; SKS_FIBERS */
	int serves;            /* SKS_STREAMS, SKS_DATAGRAMS; 0: both */
	int port;              /* where to listen when nothing is said; 0: there is no such port */
};

/* The name that hosts look for. Each plugin has its own. */
#define SKS_PLUGIN_SYMBOL "sks_plugin_descriptor"

/*
 * Exports the descriptor; once in a plugin, with the members as designated
 * initialisers. In C++ (20) they come in the order of the struct, and the
 * handler and the table of options have names of their own.
 */
#define SKS_PLUGIN(...)                                                \
	SKS_BEGIN_DECLS                                                \
	extern SKS_API const struct sks_plugin sks_plugin_descriptor;  \
	SKS_END_DECLS                                                  \
	const struct sks_plugin sks_plugin_descriptor = {              \
		.magic = SKS_PLUGIN_MAGIC,                             \
		.major = SKS_PLUGIN_MAJOR,                             \
		.minor = SKS_PLUGIN_MINOR,                             \
		.size = sizeof(struct sks_plugin),                     \
		.handler_size = sizeof(struct sks_handler),            \
		.option_size = sizeof(struct sks_plugin_option),       \
		__VA_ARGS__                                            \
	}

SKS_END_DECLS

#endif
