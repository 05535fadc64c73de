/* The least that a client can do: open all connections, ask on all of them, read with epoll, and ask again at the end
 * of each response.
 *
 * floor PORT STREAMS REQUEST-FILE SPREAD-US [SEEN-FILE]
 *
 * The first requests are spread over SPREAD-US microseconds; 0 sends them all at once. Without SEEN-FILE it only counts
 * bytes, and prints their number when it gets SIGTERM: that is the floor of cost. With SEEN-FILE it also takes the
 * kernel's stamp of each read, and writes the times of all tokens at the end: that is the floor of error. Then the
 * request contains ID, which becomes the number of the stream. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ID "000000000000"
#define TOKEN "\"content\":\""
#define MOST_TOKENS 1000

struct stream {
    int fd, tokens;
    unsigned number;
    uint64_t start_ns, token_ns[MOST_TOKENS];
};

static volatile sig_atomic_t stopped;
static char request[65536], buffer[65536], *id;
static size_t length;
static FILE *seen;
static unsigned asked;

static void stop(int signal_number) {
    (void)signal_number;
    stopped = 1;
}

static uint64_t ns(struct timespec time) {
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int ask(struct stream *stream) {
    if (seen) {
        char digits[sizeof ID];
        stream->number = asked++;
        snprintf(digits, sizeof digits, "%012u", stream->number);
        memcpy(id, digits, sizeof ID - 1);
        stream->tokens = 0;
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        stream->start_ns = ns(now);
    }
    return write(stream->fd, request, length) == (ssize_t)length;
}

static int connect_to(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (seen) setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static ssize_t read_stamped(struct stream *stream) {
    union {
        struct cmsghdr align;
        char bytes[256];
    } control;
    struct iovec vector = {.iov_base = buffer, .iov_len = sizeof buffer};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control,
                             .msg_controllen = sizeof control};
    ssize_t size = recvmsg(stream->fd, &message, 0);
    struct cmsghdr *header = size > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (!header || header->cmsg_type != SCM_TIMESTAMPNS) return size > 0 ? -1 : size;
    struct timespec stamp;
    memcpy(&stamp, CMSG_DATA(header), sizeof stamp);
    for (char *at = buffer; (at = memmem(at, (size_t)(buffer + size - at), TOKEN, sizeof TOKEN - 1));) {
        at += sizeof TOKEN - 1;
        if (at < buffer + size && *at != '"' && stream->tokens < MOST_TOKENS) /* the first delta is empty: no token */
            stream->token_ns[stream->tokens++] = ns(stamp);
    }
    return size;
}

static void note(const struct stream *stream) {
    fprintf(seen, "{\"id\": \"%012u\", \"start_ns\": %llu, \"token_ns\": [", stream->number,
            (unsigned long long)stream->start_ns);
    for (int i = 0; i < stream->tokens; i++)
        fprintf(seen, "%s%llu", i ? ", " : "", (unsigned long long)stream->token_ns[i]);
    fputs("]}\n", seen);
}

int main(int argc, char **argv) {
    if (argc < 5 || argc > 6) return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), spread_us = atoi(argv[4]);
    FILE *file = fopen(argv[3], "rb");
    if (!file) return 2;
    length = fread(request, 1, sizeof request, file);
    fclose(file);
    if (argc == 6 && !(id = memmem(request, length, ID, sizeof ID - 1))) return 2;
    if (argc == 6 && !(seen = fopen(argv[5], "w"))) return 2;
    signal(SIGTERM, stop);
    int poll = epoll_create1(0);
    struct stream *streams = calloc((size_t)count, sizeof *streams);
    for (int i = 0; i < count; i++) {
        if ((streams[i].fd = connect_to(port)) < 0) return 1;
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &streams[i]};
        epoll_ctl(poll, EPOLL_CTL_ADD, streams[i].fd, &event);
    }
    for (int i = 0; i < count; i++) {
        if (!ask(&streams[i])) return 1;
        if (spread_us) usleep((unsigned)(spread_us / count));
    }
    unsigned long long bytes = 0;
    struct epoll_event events[256];
    while (!stopped) {
        int ready = epoll_wait(poll, events, 256, 1000);
        for (int i = 0; i < ready; i++) {
            struct stream *stream = events[i].data.ptr;
            ssize_t size = seen ? read_stamped(stream) : recv(stream->fd, buffer, sizeof buffer, 0);
            if (size <= 0) return 1;
            bytes += (unsigned long long)size;
            if (size < 5 || memcmp(buffer + size - 5, "0\r\n\r\n", 5)) continue;
            if (seen) note(stream);
            if (!ask(stream)) return 1;
        }
    }
    if (seen) fclose(seen);
    printf("%llu\n", bytes);
    return 0;
}
