/* The least that a client can do: so many connections, epoll, count bytes, ask again at the end of each response.
 * reader PORT STREAMS REQUEST-FILE; prints the bytes read when it gets SIGTERM. */
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

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int port = atoi(argv[1]), streams = atoi(argv[2]);
    static char request[65536], buffer[65536];
    FILE *file = fopen(argv[3], "rb");
    if (!file) return 2;
    size_t length = fread(request, 1, sizeof request, file);
    fclose(file);
    signal(SIGTERM, stop);
    int poll = epoll_create1(0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    for (int i = 0; i < streams; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
        if (connect(fd, (struct sockaddr *)&address, sizeof address)) return 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (write(fd, request, length) != (ssize_t)length) return 1;
        fcntl(fd, F_SETFL, O_NONBLOCK);
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        usleep(1000);
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
            if (size >= 5 && !memcmp(buffer + size - 5, "0\r\n\r\n", 5) && write(fd, request, length) != (ssize_t)length)
                return 1;
        }
    }
    printf("%llu\n", bytes);
    return 0;
}
