#include <socketserver.h>
static int hello(struct sks_request *req) { return sks_puts(req->wfile, "Hello World!\n"); }
int main(int argc, char **argv) { return sks_serve(argc > 1 ? argv[argc-1] : "localhost:2525", &(struct sks_handler){ .name = "hello", .handle = hello }, NULL); }
