/* A stress test of the native reader's core, without Python, so that sanitizers and valgrind can watch it.
 *
 *     stress STREAMS [SEED [SCARCITY]]
 *
 * Opens so many streams, a few hundred at a time. Two threads play the peers: they write random pieces into small
 * socket buffers, close, reset, fall silent, or serve several responses on one connection. The main thread is the
 * program that uses the reader: it arms random policies, takes, leaves streams in the middle, and forks. A fourth
 * thread sends signals to all of them. Every byte is compared with what the peer sent. With SCARCITY 50, one of 50
 * allocations fails: then the stream must end with ENOMEM, and no other may notice. Link with -Wl,--wrap=realloc, which
 * the core allocates with. Prints one line and returns 0 when nothing was lost. */
#define _GNU_SOURCE
#include "../../harness/transport/reader_core.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEERS = 2, LIVE = 300, RESPONSES = 4, TAIL_BYTES = 5, FORK_EVERY = 250, PATIENCE_MS = 30000 };
#define MS 1000000LL

/* How a stream goes. LEAVE: the program removes the slot and reads the rest itself. CUT: it removes and closes. */
enum kind { END, RESET, HANG, KEEP, LEAVE, CUT, KINDS };

struct stream {
    enum kind kind;
    bool tcp;
    size_t size;                    /* bytes that the peer sends; of each response, for KEEP */
    _Atomic int responses;          /* that the peer may send */
    _Atomic bool over;              /* the program needs the peer no longer */
    uint32_t sent_state, got_state; /* of the generator of its bytes, on both sides */
    size_t sent, got;
    int own, peer;
    uint64_t slot;
    unsigned char tail[TAIL_BYTES];
};

static struct reader *reader;
static struct stream *streams;
static int listener;
static struct sockaddr_in address = {.sin_family = AF_INET};
static _Atomic bool finished;
static pthread_t main_thread;
static uint64_t bytes_by_reader, wakes[9], forks;

/* What was opened for a peer thread. */
static struct inbox {
    pthread_mutex_t lock;
    struct stream *waiting[LIVE + 1];
    int count;
    unsigned random;
    pthread_t thread;
} inboxes[PEERS];

static _Atomic unsigned scarcity;
static _Atomic unsigned allocations;
static uint64_t starved; /* streams that ended for lack of memory */

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size) {
    bool fails = scarcity && atomic_fetch_add(&allocations, 1) % scarcity == scarcity - 1;
    return fails ? NULL : __real_realloc(memory, size);
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);                          \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static unsigned below(unsigned *random, unsigned limit) {
    *random = *random * 1103515245u + 12345u;
    return (*random >> 8) % limit;
}

static unsigned char next_byte(uint32_t *state) {
    *state = *state * 1664525u + 1013904223u;
    return (unsigned char)(*state >> 24);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 * MS + now.tv_nsec;
}

/* ---- The peers. ---- */

/* Writes some bytes; false when the socket takes none now. */
static bool write_piece(struct stream *s, size_t total, unsigned *random) {
    unsigned char piece[9000];
    size_t size = 1 + below(random, below(random, 4) ? 200 : sizeof piece - 1);
    size_t left = total - s->sent;
    if (size > left) size = left;
    if (s->kind == KEEP && size == left && left > 1 && below(random, 2))
        size = left > 3 ? left - 3 : 1; /* cuts the tail */
    uint32_t state = s->sent_state;
    for (size_t i = 0; i < size; i++) piece[i] = next_byte(&state);
    ssize_t done = send(s->peer, piece, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (done < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (done < 0) {
        CHECK(s->kind == CUT || scarcity);
        done = (ssize_t)(total - s->sent);
    }
    for (ssize_t i = 0; i < done; i++) next_byte(&s->sent_state);
    s->sent += (size_t)done;
    return true;
}

/* Does something for a stream. Returns false when the peer is done with it. */
static bool serve(struct stream *s, unsigned *random, bool *busy) {
    size_t total = s->size * (size_t)atomic_load(&s->responses);
    bool over = atomic_load(&s->over);
    if (s->sent < total && !over) {
        *busy |= write_piece(s, total, random);
        return true;
    }
    if ((s->kind == KEEP || s->kind == HANG) && !over) return true;
    if (s->kind == RESET) {
        struct linger abort_it = {1, 0};
        setsockopt(s->peer, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    }
    close(s->peer);
    return false;
}

static void *play_peers(void *argument) {
    struct inbox *inbox = argument;
    static struct stream *all[PEERS][LIVE + 1];
    struct stream **mine = all[inbox - inboxes];
    int count = 0;
    while (!atomic_load(&finished) || count) {
        pthread_mutex_lock(&inbox->lock);
        while (inbox->count) mine[count++] = inbox->waiting[--inbox->count];
        pthread_mutex_unlock(&inbox->lock);
        bool busy = false;
        for (int i = 0; i < count; i++) {
            if (below(&inbox->random, 3)) continue;
            if (!serve(mine[i], &inbox->random, &busy)) mine[i--] = mine[--count];
        }
        if (!busy) usleep(50);
    }
    return NULL;
}

/* ---- The storm of signals: without SA_RESTART every call that waits is interrupted. ---- */

static _Atomic unsigned signals_seen;

static void on_signal(int number) {
    (void)number;
    atomic_fetch_add(&signals_seen, 1);
}

static void *storm(void *unused) {
    (void)unused;
    while (!atomic_load(&finished)) {
        pthread_kill(main_thread, SIGUSR1);
        for (int i = 0; i < PEERS; i++) pthread_kill(inboxes[i].thread, SIGUSR1);
        kill(getpid(), SIGUSR2);
        usleep(300);
    }
    return NULL;
}

/* ---- The program. ---- */

static void open_pair(struct stream *s) {
    int small = 4096, on = 1;
    if (s->tcp) {
        CHECK((s->own = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
        while (connect(s->own, (struct sockaddr *)&address, sizeof address)) CHECK(errno == EINTR || errno == EALREADY);
        while ((s->peer = accept(listener, NULL, NULL)) < 0) CHECK(errno == EINTR);
        setsockopt(s->own, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    } else {
        int both[2];
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, both));
        s->own = both[0];
        s->peer = both[1];
    }
    setsockopt(s->peer, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    CHECK(!fcntl(s->own, F_SETFL, O_NONBLOCK));
}

/* A response of KEEP begins: works out its last bytes. */
static void next_response(struct stream *s) {
    uint32_t state = s->got_state;
    for (size_t i = 0; i < s->size - TAIL_BYTES; i++) next_byte(&state);
    for (size_t i = 0; i < TAIL_BYTES; i++) s->tail[i] = next_byte(&state);
    atomic_fetch_add(&s->responses, 1);
}

static void arm(struct stream *s, unsigned *random) {
    struct policy policy = {.wake = below(random, 3) ? 0 : 1 + below(random, 7)};
    bool woke;
    if (policy.wake & WHY_SIZE) policy.size = 1 + below(random, 3000);
    if (s->kind == KEEP) {
        policy.wake |= WHY_TAIL; /* its first bytes may have been taken */
        policy.tail_bytes = TAIL_BYTES;
        memcpy(policy.tail, s->tail, TAIL_BYTES);
    }
    if (s->kind == LEAVE || s->kind == CUT) policy.wake |= WHY_FIRST;
    if (s->kind == HANG) policy.silence_ns = 10 * MS;
    else if (!below(random, 4)) policy.silence_ns = (1 + below(random, 20)) * MS;
    if (!below(random, 4)) policy.deadline_ns = now_ns() + (below(random, 30) - 2) * MS;
    CHECK(!reader_arm(reader, s->slot, &policy, &woke));
}

static void open_stream(struct stream *s, unsigned *random, int peer) {
    *s = (struct stream){
        .kind = below(random, KINDS),
        .tcp = below(random, 2),
        .size = 1 + below(random, below(random, 5) ? 6000 : 60000),
        .sent_state = below(random, 1u << 20),
    };
    if (s->kind == RESET) s->tcp = true;
    if (s->kind == KEEP) s->size += TAIL_BYTES;
    s->got_state = s->sent_state;
    if (s->kind == KEEP) next_response(s);
    else atomic_store(&s->responses, 1);
    open_pair(s);
    int error;
    while ((error = reader_add(reader, s->own, &s->slot))) CHECK(error == ENOMEM && scarcity);
    arm(s, random);
    struct inbox *inbox = &inboxes[peer];
    pthread_mutex_lock(&inbox->lock);
    inbox->waiting[inbox->count++] = s;
    pthread_mutex_unlock(&inbox->lock);
}

static void compare(struct stream *s, const char *data, size_t size) {
    for (size_t i = 0; i < size; i++) CHECK((unsigned char)data[i] == next_byte(&s->got_state));
    s->got += size;
}

/* Takes what is stored, and compares it. Returns `ended`. */
static int take(struct stream *s) {
    struct taken taken;
    size_t sum = 0;
    CHECK(!reader_take(reader, s->slot, &taken));
    for (size_t i = 0; i < taken.count; i++) {
        sum += taken.reads[i].size;
        CHECK(taken.reads[i].t_ns <= taken.reads[i].user_ns);
    }
    CHECK(sum == taken.bytes);
    compare(s, taken.data, taken.bytes);
    bytes_by_reader += taken.bytes;
    free(taken.data);
    free(taken.reads);
    return taken.ended;
}

/* Reads what the removed reader has left in the socket: the last bytes of the stream, without a hole. What it had
 * stored since the last take is lost with the slot. */
static void read_rest(struct stream *s) {
    static char rest[64 * 1024];
    size_t size = 0;
    ssize_t got;
    while ((got = recv(s->own, rest + size, sizeof rest - size, 0))) {
        if (got > 0) size += (size_t)got;
        else {
            CHECK(errno == EAGAIN || errno == EINTR);
            poll(&(struct pollfd){.fd = s->own, .events = POLLIN}, 1, 100);
        }
    }
    CHECK(size <= s->size - s->got);
    for (; s->got < s->size - size; s->got++) next_byte(&s->got_state);
    compare(s, rest, size);
}

static void leave(struct stream *s, bool drain) {
    CHECK(!reader_remove(reader, s->slot));
    CHECK(reader_remove(reader, s->slot) == ENOENT);
    if (drain) read_rest(s);
    CHECK(!close(s->own));
    atomic_store(&s->over, true);
}

/* Handles a wake. True when the stream is over, and all its bytes are accounted for. */
static bool handle(struct stream *s, unsigned why, unsigned *random) {
    if (!below(random, 50)) return arm(s, random), false; /* a program that comes to nothing this time */
    int ended = take(s);
    if (ended == ENOMEM && scarcity) {
        starved++;
        return leave(s, false), true;
    }
    if (s->kind == CUT || s->kind == LEAVE) {
        if (!s->got && ended == OPEN) return arm(s, random), false;
        leave(s, s->kind == LEAVE && ended == OPEN);
        return true;
    }
    if (ended != OPEN) {
        if (s->kind == END) CHECK(ended == 0 && s->got == s->size);
        if (s->kind == RESET) CHECK(ended == ECONNRESET && s->got <= s->size);
        CHECK(s->kind != HANG && s->kind != KEEP);
        return leave(s, false), true;
    }
    if (s->kind == HANG && why & WHY_SILENCE && s->got == s->size) return leave(s, false), true;
    if (s->kind == KEEP && s->got == s->size * (size_t)atomic_load(&s->responses)) {
        if (atomic_load(&s->responses) == RESPONSES) return leave(s, false), true;
        next_response(s);
    }
    arm(s, random);
    return false;
}

static void fork_a_child(unsigned *random) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (!child) {
        usleep(below(random, 3000));
        kill(getpid(), SIGKILL); /* at an exit valgrind would count the copy of the parent's memory as leaked */
    }
    int status;
    while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR);
    CHECK(WTERMSIG(status) == SIGKILL);
    forks++;
}

static int open_descriptors(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    CHECK(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
}

static struct stream *stream_of(struct stream **live, int count, uint64_t slot) {
    for (int i = 0; i < count; i++)
        if (live[i]->slot == slot) return live[i];
    return NULL;
}

static void use_reader(int total, unsigned *random) {
    static struct stream *live[LIVE];
    int opened = 0, count = 0, last_fork = 0;
    int64_t heard_ns = now_ns();
    while (opened < total || count) {
        while (opened < total && count < LIVE) {
            live[count++] = &streams[opened];
            open_stream(&streams[opened], random, opened % PEERS);
            opened++;
        }
        if (opened - last_fork >= FORK_EVERY) {
            last_fork = opened;
            fork_a_child(random);
        }
        struct pollfd ready_fd = {.fd = reader_fd(reader), .events = POLLIN};
        if (poll(&ready_fd, 1, 1000) < 0) CHECK(errno == EINTR);
        CHECK(now_ns() - heard_ns < PATIENCE_MS * MS); /* a wake was lost */
        if (!ready_fd.revents) continue;
        struct ready ready[16];
        size_t n;
        do {
            n = reader_ready(reader, ready, 16);
            for (size_t i = 0; i < n; i++) {
                struct stream *s = stream_of(live, count, ready[i].slot);
                CHECK(s && ready[i].why);
                for (int bit = 0; bit < 9; bit++) wakes[bit] += ready[i].why >> bit & 1;
                if (!handle(s, ready[i].why, random)) continue;
                for (int at = 0; at < count; at++)
                    if (live[at] == s) live[at--] = live[--count];
            }
            if (n) heard_ns = now_ns();
        } while (n == 16);
    }
}

/* Readers that are stopped in the middle of everything. */
static void start_and_stop(unsigned *random) {
    for (int turn = 0; turn < 50; turn++) {
        struct reader *short_lived = reader_start(1 << 16, 1 << 12, true, 0);
        CHECK(short_lived);
        int both[2];
        uint64_t slot;
        bool woke;
        CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, both));
        CHECK(!reader_add(short_lived, both[0], &slot));
        struct policy policy = {
            .wake = WHY_EVERY, .silence_ns = 1, .deadline_ns = now_ns() + below(random, 200) * 1000};
        CHECK(!reader_arm(short_lived, slot, &policy, &woke));
        CHECK(send(both[1], "x", 1, MSG_NOSIGNAL) == 1);
        usleep(below(random, 300));
        reader_stop(short_lived);
        close(both[0]);
        close(both[1]);
    }
}

int main(int argc, char **argv) {
    int total = argc > 1 ? atoi(argv[1]) : 0;
    unsigned random = argc > 2 ? (unsigned)atoi(argv[2]) : 1;
    scarcity = argc > 3 ? (unsigned)atoi(argv[3]) : 0;
    if (total < 1) return fprintf(stderr, "usage: stress STREAMS [SEED [SCARCITY]]\n"), 2;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    socklen_t length = sizeof address;
    CHECK((listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(!bind(listener, (struct sockaddr *)&address, sizeof address) && !listen(listener, 64));
    CHECK(!getsockname(listener, (struct sockaddr *)&address, &length));
    int descriptors = open_descriptors();

    CHECK((reader = reader_start(1 << 20, 20000, false, -10)));
    CHECK((streams = calloc((size_t)total, sizeof *streams)));
    main_thread = pthread_self();
    for (int i = 0; i < PEERS; i++) {
        pthread_mutex_init(&inboxes[i].lock, NULL);
        inboxes[i].random = random + (unsigned)i;
        CHECK(!pthread_create(&inboxes[i].thread, NULL, play_peers, &inboxes[i]));
    }
    pthread_t stormer;
    CHECK(!pthread_create(&stormer, NULL, storm, NULL));
    use_reader(total, &random);
    scarcity = 0;
    start_and_stop(&random);
    atomic_store(&finished, true);
    pthread_join(stormer, NULL);
    for (int i = 0; i < PEERS; i++) pthread_join(inboxes[i].thread, NULL);

    struct reader_stats stats;
    reader_stats(reader, &stats);
    CHECK(stats.stored == 0 && stats.bytes >= bytes_by_reader);
    reader_stop(reader);
    free(streams);
    CHECK(open_descriptors() == descriptors);
    close(listener);
    printf("%d streams, %llu bytes in %llu reads, %llu pauses, %llu holds, %llu forks, %u signals, %llu starved; wakes",
           total, (unsigned long long)stats.bytes, (unsigned long long)stats.reads, (unsigned long long)stats.pauses,
           (unsigned long long)stats.holds, (unsigned long long)forks, atomic_load(&signals_seen),
           (unsigned long long)starved);
    for (int bit = 0; bit < 9; bit++) printf(" %llu", (unsigned long long)wakes[bit]);
    printf("\n");
    return 0;
}
