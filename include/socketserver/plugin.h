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
 * A plugin is not linked with the library: its host is. Nothing is loaded twice,
 * and nothing is unloaded, so static data, threads and atexit(3) functions of a
 * plugin are safe.
 *
 * Versions. The contract between plugin and host has a version of its own,
 * SKS_PLUGIN_MAJOR and SKS_PLUGIN_MINOR. A new minor version only appends members
 * to struct sks_plugin, sks_handler or sks_plugin_option, where 0 means what was
 * before, or adds values. A plugin tells the sizes of the structs that it was
 * compiled with. So a library takes each plugin of its own major version and of its
 * own or an older minor version, without a new compilation. It refuses all others,
 * and says why.
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
#define SKS_PLUGIN_MINOR 1

/*
 * The types of an option: what its text may be, and what the member of the plugin's
 * configuration becomes.
 */
#define SKS_OPTION_STRING 1   /* any text; const char * */
#define SKS_OPTION_INTEGER 2  /* a decimal number; int or int64_t */
#define SKS_OPTION_SIZE 3     /* bytes, or with k, M or G times 1,024 and its powers; int,
                                 int64_t or size_t */
#define SKS_OPTION_DURATION 4 /* a time with ms, s, m or h, or 0; milliseconds in an int or
                                 int64_t */
#define SKS_OPTION_BOOLEAN 5  /* yes or no, on or off, true or false, 1 or 0; int, 1 or 0 */
#define SKS_OPTION_PATH 6     /* a file's name, which is made absolute; const char * */

/*
 * An option of a plugin, and where its value goes in the plugin's own struct of
 * configuration. A table of options ends with one that has no name.
 */
struct sks_plugin_option {
	const char *name;  /* for "-o name=value": letters, digits, - and _ */
	const char *help;  /* a few words for people; NULL: none */
	const char *value; /* the default, as text; NULL: zero, or a NULL string */
	int type;          /* SKS_OPTION_STRING and its kin */
	int required;      /* not 0: the option must be set */
	size_t offset;     /* of the member in the struct, and */
	size_t size;       /* the member's size in bytes; see SKS_OPTION_AT() */
	int64_t min;       /* the least value, or of a text its least length in bytes (of a path
	                      once it is absolute), */
	int64_t max;       /* and the greatest; both 0: what type and member can hold */
};

/* The offset and size of an option, from the struct and its member. */
#define SKS_OPTION_AT(type_, member_) \
	.offset = offsetof(type_, member_), .size = sizeof(((type_ *)0)->member_)

/* sks_plugin.serves */
#define SKS_STREAMS 1   /* connections */
#define SKS_DATAGRAMS 2 /* datagrams */

/*
 * The descriptor: what a plugin says of itself. SKS_PLUGIN() exports it, as a
 * constant.
 *
 * init  is optional. It is called once in each process that hosts the plugin, when
 *       all options are set and before the first request. config points to the
 *       struct of configuration, which is valid until exit has returned. What init
 *       puts into *data is req->data of each request. Where it leaves *data as it is,
 *       or there is no init, that is config itself, or NULL when config_size is 0. init
 *       returns 0, or -1 and errno: the
 *       host says why, and does not serve.
 * exit  is optional. It is called once when init has succeeded, after the last
 *       request of the process.
 * Child processes that SKS_PROCESSES forks have a copy of data and call neither.
 */
struct sks_plugin {
	uint32_t magic;        /* SKS_PLUGIN() fills in these six */
	uint16_t major;
	uint16_t minor;
	uint32_t size;         /* of this struct */
	uint32_t handler_size; /* of struct sks_handler in it */
	uint32_t option_size;  /* of struct sks_plugin_option */
	uint32_t reserved;     /* 0 */
	const char *name;      /* letters, digits, - and _; the file is name.so */
	const char *summary;   /* what the plugin does, in one line */
	struct sks_handler handler;
	const struct sks_plugin_option *options; /* NULL: there are none */
	size_t config_size;    /* bytes of the struct of configuration; 0: there is none */
	int (*init)(const void *config, void **data);
	void (*exit)(void *data);
	const char *refuses_why; /* why some modes are refused: "processes share no memory" */
	int refuses;           /* modes that it cannot run in, beside those that its handler
	                          refuses: SKS_REFUSES(...) | ...; 0: none */
	int mode;              /* the mode to take when none is asked for; 0: SKS_FIBERS */
	int serves;            /* SKS_STREAMS, SKS_DATAGRAMS; 0: both */
	int port;              /* where to listen when no address is given; 0: nowhere */
	int idle_ms;           /* the options of that name to take where the host says nothing; */
	int timeout_ms;        /* 0: those of every server; SKS_OFF: no limit. Since 1.1 */
};

/* The name that hosts look for. Each plugin has its own. */
#define SKS_PLUGIN_SYMBOL "sks_plugin_descriptor"

/*
 * Exports the descriptor, from its members as designated initialisers: once in a
 * plugin, outside of functions. In C++, from C++11 on, the members stand in the
 * order of the struct, and so do those of a handler.
 */
#ifndef __cplusplus
#define SKS_PLUGIN(...)                                               \
	extern SKS_API const struct sks_plugin sks_plugin_descriptor; \
	const struct sks_plugin sks_plugin_descriptor =               \
	    SKS_PLUGIN_MEMBERS_(__VA_ARGS__)
#else
/* Before C++20 such initialisers are an extension of gcc and clang, which both warn of. */
#define SKS_PLUGIN(...)                                                    \
	extern "C" SKS_API const struct sks_plugin sks_plugin_descriptor;  \
	_Pragma("GCC diagnostic push")                                     \
	_Pragma("GCC diagnostic ignored \"-Wpedantic\"")                   \
	_Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") \
	__extension__ const struct sks_plugin sks_plugin_descriptor =      \
	    SKS_PLUGIN_MEMBERS_(__VA_ARGS__);                              \
	_Pragma("GCC diagnostic pop")                                      \
	extern "C" const struct sks_plugin sks_plugin_descriptor
#endif

/* The members that SKS_PLUGIN() fills in, and the plugin's own. */
#define SKS_PLUGIN_MEMBERS_(...)                                 \
	{                                                        \
		.magic = SKS_PLUGIN_MAGIC,                       \
		.major = SKS_PLUGIN_MAJOR,                       \
		.minor = SKS_PLUGIN_MINOR,                       \
		.size = sizeof(struct sks_plugin),               \
		.handler_size = sizeof(struct sks_handler),      \
		.option_size = sizeof(struct sks_plugin_option), \
		.reserved = 0,                                   \
		__VA_ARGS__                                      \
	}

SKS_END_DECLS

#endif
