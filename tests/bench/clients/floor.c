/* The least that a client can do: open all connections, ask on all of them, count bytes with epoll, and ask again at
 * the end of each response.
 *
 * floor PORT STREAMS REQUEST-FILE SPREAD-US: the first requests are spread over so many microseconds; 0 sends them all
 * at once. Prints the bytes read when it gets SIGTERM. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static volatile sig_atomic_t stopped;

static void stop(int signal_number) {
    (void)signal_number;
    stopped = 1;
}

static char request[65536], buffer[65536];
static size_t length;

static int ask(int fd) {
    return write(fd, request, length) == (ssize_t)length;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), streams = atoi(argv[2]), spread_us = atoi(argv[4]);
    FILE *file = fopen(argv[3], "rb");
    if (!file) return 2;
    length = fread(request, 1, sizeof request, file);
    fclose(file);
    signal(SIGTERM, stop);
    int poll = epoll_create1(0), *sockets = calloc((size_t)streams, sizeof *sockets);
    for (int i = 0; i < streams; i++) {
        if ((sockets[i] = connect_to(port)) < 0) return 1;
        struct epoll_event event = {.events = EPOLLIN, .data.fd = sockets[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, sockets[i], &event);
    }
    for (int i = 0; i < streams; i++) {
        if (!ask(sockets[i])) return 1;
        if (spread_us) usleep((unsigned)(spread_us / streams));
    }
    unsigned long long bytes = 0;
    struct epoll_event events[256];
    while (!stopped) {
        int ready = epoll_wait(poll, events, 256, 1000);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            ssize_t size = recv(fd, buffer, sizeof buffer, 0);
            if (size <= 0) return 1;
            bytes += (unsigned long long)size;
            if (size >= 5 && !memcmp(buffer + size - 5, "0\r\n\r\n", 5) && !ask(fd)) return 1;
        }
    }
    printf("%llu\n", bytes);
    return 0;
}
