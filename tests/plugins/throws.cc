// SPDX-License-Identifier: MIT
/*
 * A handler in C++ that throws, catches and waits as its client tells it to.
 * Each line is one command; see run() below. As a plugin, and linked into
 * check_exceptions.
 */
#include <socketserver.h>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

static int converse(sks_request *req);

static int
say(sks_request *req, const char *text)
{
	return sks_printf(req->wfile, "%s\n", text);
}

// Talks on in a catch block, so that others run while it is in one.
static int
throw_and_talk(sks_request *req, const std::string &text)
{
	int rc;

	try {
		throw std::runtime_error(text);
	} catch (const std::exception &e) {
		say(req, "caught");
		rc = converse(req);
		say(req, e.what());
	}
	return rc;
}

// Talks on in a destructor, while an exception is on its way.
struct talks_in_the_end {
	sks_request *req;
	~talks_in_the_end() { converse(req); }
};

static int
unwind(sks_request *req, const std::string &text)
{
	try {
		talks_in_the_end talks{ req };
		throw std::runtime_error(text);
	} catch (const std::exception &e) {
		return say(req, e.what());
	}
}

static int
throw_again(sks_request *req)
{
	try {
		throw;
	} catch (const std::exception &e) {
		return say(req, e.what());
	}
}

static int
tell_current(sks_request *req)
{
	std::exception_ptr current = std::current_exception();

	if (!current)
		return say(req, "none");
	try {
		std::rethrow_exception(current);
	} catch (const std::exception &e) {
		return say(req, e.what());
	}
}

struct child {
	std::string text;
	int turns;
};

// Catches its own exception in turns with its siblings. The value is how often it was its own.
static int
throw_in_turns(void *arg)
{
	const child *c = static_cast<const child *>(arg);
	int own = 0;

	for (int i = 0; i < c->turns; i++) {
		try {
			throw std::runtime_error(c->text);
		} catch (const std::exception &) {
			sks_yield();
			try {
				throw;
			} catch (const std::exception &again) {
				sks_yield();
				own += again.what() == c->text;
			}
		}
	}
	return own + !std::current_exception();
}

static int
have_children(sks_request *req)
{
	child children[3] = { { "one", 4 }, { "two", 5 }, { "three", 6 } };
	sks_child *running[3];
	int own[3] = { 0, 0, 0 };

	for (int i = 0; i < 3; i++)
		running[i] = sks_go(throw_in_turns, &children[i]);
	for (int i = 0; i < 3; i++)
		sks_child_join(running[i], &own[i]);
	return sks_printf(req->wfile, "%d %d %d\n", own[0], own[1], own[2]);
}

// One command. 1: it was the last one of this block.
static int
run(sks_request *req, const std::string &line)
{
	std::string::size_type blank = line.find(' ');
	std::string command = line.substr(0, blank);
	std::string text = blank == std::string::npos ? "" : line.substr(blank + 1);

	if (command == "throw")          // catches it, and says it at the end of the block
		throw_and_talk(req, text);
	else if (command == "unwind")    // the next block is run by a destructor
		unwind(req, text);
	else if (command == "again")     // what is being handled, thrown once more
		throw_again(req);
	else if (command == "current")   // what is being handled, or none
		tell_current(req);
	else if (command == "uncaught")  // how many are on their way
		sks_printf(req->wfile, "%d\n", std::uncaught_exceptions());
	else if (command == "children")  // three at once
		have_children(req);
	return command == "end";         // of this block
}

static int
converse(sks_request *req)
{
	char *line;

	while ((line = sks_gets(req->rfile)) != nullptr)
		if (run(req, line))
			return 0;
	return 0;
}

extern "C" {
extern const sks_handler throws_handler;
const sks_handler throws_handler = { .name = "throws", .handle = converse };
}

SKS_PLUGIN(.name = "throws", .summary = "throws and catches", .handler = { .handle = converse });
