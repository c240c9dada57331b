// SPDX-License-Identifier: MIT
/*
 * A server and its client as one program in C++17: every function that the headers
 * define themselves, and both overloads of sks_error() and sks_set_timeout().
 *
 * usage: server MODE [PLUGIN]
 */
#include <socketserver.h>
#include <socketserver/host.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>

namespace {

struct count {
	unsigned int lines;
};

void
need(bool held, const char *what)
{
	if (!held)
		throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

int
number_lines(sks_request *req)
{
	auto *sum = static_cast<count *>(req->state);
	char *line;

	if (sks_set_timeout(req->rfile, SKS_DEFAULT) == -1 ||
	    sks_set_timeout(req->wfile, SKS_DEFAULT) == -1)
		return -1;
	while ((line = sks_gets(req->rfile)) != nullptr)
		sks_printf(req->wfile, "%u %s\n", ++sum->lines, line);
	if (sks_error(req->rfile) != 0 || sks_error(req->wfile) != 0)
		return -1;
	return sks_end(req->rfile);
}

sks_handler
the_handler()
{
	sks_handler handler = {};

	handler.name = "numbers";
	handler.handle = number_lines;
	handler.state_size = sizeof(count);
	return handler;
}

sks_options
the_options(const char *mode)
{
	sks_options options = {};
	std::array<char, 100> why;

	need(sks_options_set(&options, "mode", mode, why.data(), why.size()) == 0, "options");
	return options;
}

struct end_of_server {
	void operator()(sks_server *server) const { sks_server_free(server); }
};
using server_ptr = std::unique_ptr<sks_server, end_of_server>;

void
be_a_client(const std::string &address, sks_server *server, std::string &answer)
{
	sks_client *client = sks_connect(address.c_str(), SKS_DEFAULT);
	char *line;

	if (client != nullptr) {
		sks_puts(client->wfile, "one\ntwo\n");
		sks_flush(client->wfile);
		sks_socket_shutdown(client->socket, SHUT_WR);
		while ((line = sks_gets(client->rfile)) != nullptr)
			answer += std::string(line) + ";";
		sks_client_close(client);
	}
	sks_server_shutdown(server);
}

void
serve_a_client(const char *mode)
{
	const sks_handler handler = the_handler();
	const sks_options options = the_options(mode);
	server_ptr server(sks_server_new(&handler, &options));
	std::array<char, 160> address;
	std::string answer;
	sks_stats stats;

	need(server != nullptr, "new");
	need(sks_server_listen(server.get(), "127.0.0.1:0") == 0, "listen");
	sks_server_address(server.get(), 0, address.data(), address.size());
	std::thread client(be_a_client, std::string(address.data()), server.get(), std::ref(answer));
	const int rc = sks_serve_forever(server.get());
	client.join();
	need(rc == 0, "serve");
	need(answer == "1 one;2 two;", answer.c_str());
	need(sks_server_stats(server.get(), &stats) == 0 && stats.accepted == 1, "statistics");
}

void
serve_without_a_server()
{
	const sks_handler handler = the_handler();
	std::array<int, 2> pair;
	std::array<char, 16> answer = {};
	char *out;
	size_t n;

	need(sks_handle_bytes(&handler, "x\n", 2, &out, &n) == 0, "bytes");
	need(std::string(out, n) == "1 x\n", out);
	std::free(out);
	need(sks_handle_bytes_with(&handler, nullptr, "[::1]:1", "x\n", 2, &out, &n) == 0, "with");
	need(std::string(out, n) == "1 x\n", out);
	std::free(out);
	need(sks_handle_datagram(&handler, nullptr, nullptr, "x\n", 2, &out, &n) == 0, "datagram");
	need(std::string(out, n) == "1 x\n", out);
	std::free(out);
	need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair.data()) == 0, "socketpair");
	need(send(pair[1], "y\n", 2, 0) == 2 && shutdown(pair[1], SHUT_WR) == 0, "send");
	need(sks_serve_fd(pair[0], &handler, nullptr) == 0, "serve_fd");
	need(recv(pair[1], answer.data(), answer.size(), 0) == 4, "recv");
	need(std::string(answer.data()) == "1 y\n", answer.data());
}

void
use_the_short_forms()
{
	const sks_handler handler = the_handler();
	const sks_options options = {};
	server_ptr tcp(sks_tcp_server_new("127.0.0.1:0", &handler, &options));
	server_ptr udp(sks_udp_server_new("127.0.0.1:0", &handler, &options));

	need(tcp != nullptr && udp != nullptr, "short forms");
	need(sks_serve("no address", &handler, &options) == 1, "sks_serve");
}

void
host_a_plugin(const char *name)
{
	sks_module *module = sks_module_load(name);

	need(module != nullptr, "load");
	server_ptr server(sks_module_server_new(module, nullptr));
	need(server != nullptr, "module_server_new");
	server.reset();
	sks_module_free(module);
}

} // namespace

int
main(int argc, char **argv)
{
	try {
		serve_a_client(argc > 1 ? argv[1] : "fibers");
		serve_without_a_server();
		use_the_short_forms();
		if (argc > 2)
			host_a_plugin(argv[2]);
	} catch (const std::exception &e) {
		std::printf("%s\n", e.what());
		return 1;
	}
	std::puts("all is well");
	return 0;
}
