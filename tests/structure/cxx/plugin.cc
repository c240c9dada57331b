// SPDX-License-Identifier: MIT
/*
 * A plugin in C++17: it remembers the lines of all clients in a container, under a
 * lock, and tells each client how often its line has come. A client that says
 * "throw" is answered from a catch block.
 */
#include <socketserver.h>

#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

namespace {

struct config {
	const char *greeting;
	int first;
};

/* In the order of the struct, as before C++20. */
const sks_plugin_option options[] = {
	{ "greeting", "what to say", "hello", SKS_OPTION_STRING, 0, offsetof(config, greeting),
	    sizeof(config::greeting), 0, 0 },
	{ "first", "where to begin to count", "1", SKS_OPTION_INTEGER, 0, offsetof(config, first),
	    sizeof(config::first), 0, 0 },
	{},
};

struct end_of_lock {
	void operator()(sks_mutex *lock) const { sks_mutex_free(lock); }
};

class memory {
    public:
	explicit memory(const config &c) : config_(c), lock_(sks_mutex_new())
	{
		if (lock_ == nullptr)
			throw std::bad_alloc();
	}

	int count(const std::string &line)
	{
		int n;

		if (sks_mutex_lock(lock_.get()) == -1)
			return -1;
		n = config_.first + seen_[line]++;
		sks_mutex_unlock(lock_.get());
		return n;
	}

	const char *greeting() const { return config_.greeting; }

    private:
	const config &config_;
	std::unique_ptr<sks_mutex, end_of_lock> lock_;
	std::map<std::string, int> seen_;
};

int
answer(sks_request *req, const std::string &line)
{
	auto *all = static_cast<memory *>(req->data);
	const int n = all->count(line);

	if (n == -1)
		return -1;
	if (line == "throw")
		throw std::runtime_error("thrown");
	return sks_printf(req->wfile, "%s %s %d\n", all->greeting(), line.c_str(), n);
}

int
handle(sks_request *req)
{
	const char *line = sks_gets(req->rfile);

	if (line == nullptr)
		return sks_end(req->rfile);
	try {
		return answer(req, line) == -1 ? -1 : SKS_KEEP;
	} catch (const std::exception &e) {
		sks_sleep(1);
		return sks_printf(req->wfile, "%s\n", e.what()) == -1 ? -1 : SKS_KEEP;
	}
}

int
init(const void *configuration, void **data)
{
	try {
		*data = new memory(*static_cast<const config *>(configuration));
	} catch (const std::bad_alloc &) {
		return -1;
	}
	return 0;
}

void
end(void *data)
{
	delete static_cast<memory *>(data);
}

} // namespace

SKS_PLUGIN(
    .name = "plugin",
    .summary = "counts lines, in C++",
    .handler = { .handle = handle, .client_first = 1 },
    .options = options,
    .config_size = sizeof(config),
    .init = init,
    .exit = end,
    .refuses_why = "its memory is that of one process",
    .refuses = SKS_REFUSES(SKS_PROCESSES),
    .serves = SKS_STREAMS);
