/* The native reader: one thread that reads many sockets and stamps every read. It knows nothing of Python or HTTP.
 *
 * Why it exists. A client that parses while tokens arrive reads late, and its times are wrong. This thread does nothing
 * but read. It stores what arrives, with two times, and wakes the program only when the program has something to do.
 * The program takes the bytes and parses them later.
 *
 * How it is used. `reader_add` registers a connected socket and gives a slot. From then on the thread stores everything
 * that arrives. `reader_arm` says when to wake the program: at the first bytes, at every read, at so many bytes, at a
 * given ending, at a deadline, after a silence. The slot is then put into the ready queue, and the event descriptor
 * `reader_fd` becomes readable. `reader_ready` empties the queue and says why each slot is in it. `reader_take` moves
 * the stored bytes out. `reader_remove` ends it; after that the thread never touches the descriptor again.
 *
 * How it works. Sockets are watched by epoll, level-triggered: a socket that still has bytes is reported again. So each
 * report leads to one recvmsg, and one read of the kernel is one read here. A report that is out of date does no harm:
 * the thread tries to read what the slot holds now, and finds nothing. Deadlines lie in a binary heap; a timerfd in the
 * same epoll stands at the earliest.
 *
 * Pauses. With many sockets the thread sleeps for COLLECT_NS after each batch: the kernel has stamped what arrives, and
 * a wake-up costs as much as reading from several sockets. Two segments that arrive for one socket within a pause share
 * a read and the second one's stamp; `empty_ns` says how far the first one's can be off.
 *
 * Bounds. A slot with `most_stream_bytes` is paused until its bytes are taken. At `most_bytes` in all, the thread reads
 * nothing until bytes are taken. In both cases the bytes wait in the kernel, TCP slows the sender down, and the slots
 * concerned are woken with WHY_FULL. A stored read counts its bytes and its note (`struct read_note`).
 *
 * Locks. Each slot has a lock for its bytes and its policy; the reader has one for the queue and the heap. A thread
 * that needs both takes the slot's first. No lock is held while waiting. The longest hold is one recvmsg.
 *
 * Callers. The functions may be called from any thread, but only one at a time (Python's GIL sees to that). After a
 * fork the child has no reading thread, and must not call any of them.
 *
 * Times are in ns. Deadlines are on CLOCK_MONOTONIC, the times of reads and ends on CLOCK_REALTIME. */
#ifndef STREAMGAUGE_READER_CORE_H
#define STREAMGAUGE_READER_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why a slot is in the ready queue. The first four are also what a policy may ask for; the others always wake. */
enum why {
    WHY_FIRST = 1,     /* bytes are stored; once for each arm */
    WHY_EVERY = 2,     /* a read was stored */
    WHY_SIZE = 4,      /* at least `size` bytes are stored */
    WHY_TAIL = 8,      /* the stored bytes end with `tail` */
    WHY_END = 16,      /* the peer closed its side */
    WHY_ERROR = 32,    /* reading failed: `ended` has the errno */
    WHY_DEADLINE = 64, /* once for each arm */
    WHY_SILENCE = 128, /* no byte came for `silence_ns`; once for each arm */
    WHY_FULL = 256,    /* reading is paused until stored bytes are taken */
};

enum { TAIL_MOST = 16, OPEN = -1 };

/* When to wake the program. 0 is no deadline and no limit of silence. */
struct policy {
    unsigned wake;
    size_t size;
    unsigned char tail[TAIL_MOST];
    size_t tail_bytes;
    int64_t deadline_ns;
    int64_t silence_ns; /* counted from the arm, or from the last read */
};

/* One read. `t_ns` is the kernel's arrival stamp, `user_ns` when recvmsg returned; equal where there is no stamp. */
struct read_note {
    int64_t t_ns;
    int64_t user_ns;
    int64_t empty_ns; /* the socket was empty then: all bytes of the read came later; 0: not known */
    uint32_t size;
    uint32_t stamped;
};

/* What `reader_take` moved out; the caller frees `data` and `reads`. `ended` is OPEN, 0 after the end, or an errno. */
struct taken {
    char *data;
    size_t bytes;
    struct read_note *reads;
    size_t count;
    int ended;
    int64_t ended_ns;
};

struct ready {
    uint64_t slot;
    unsigned why;
};

struct reader_stats {
    uint64_t reads, bytes, wakes;
    uint64_t pauses;         /* slots that reached most_stream_bytes */
    uint64_t holds, held_ns; /* times that all reading stopped at most_bytes, and how long */
    uint64_t stored;         /* bytes and notes in memory now */
    uint64_t cpu_ns;         /* of the thread */
    bool realtime;           /* the thread runs in the class SCHED_RR; nice and slice do not matter there */
    bool niced;              /* the thread got `nice` */
    int nice;
    int64_t slice_ns; /* the scheduler's time slice, 0 where the kernel cannot set one */
};

struct reader;

/* The thread tries the real-time class if `realtime`, then the nice value. NULL when it cannot start; errno has why. */
struct reader *reader_start(size_t most_bytes, size_t most_stream_bytes, bool realtime, int nice);
void reader_stop(struct reader *reader);
int reader_fd(const struct reader *reader);
/* These return 0, or an errno: ENOENT for a slot that is not registered. */
int reader_add(struct reader *reader, int fd, uint64_t *slot);
int reader_arm(struct reader *reader, uint64_t slot, const struct policy *policy, bool *woke);
/* No wake until the next arm; reasons that wait in the queue are dropped. Bytes are stored all the same. */
int reader_disarm(struct reader *reader, uint64_t slot);
int reader_take(struct reader *reader, uint64_t slot, struct taken *taken);
int reader_stored(struct reader *reader, uint64_t slot, size_t *bytes, int *ended);
int reader_remove(struct reader *reader, uint64_t slot);
/* Takes up to `most` slots out of the ready queue. Call it until it returns fewer: only then is all of it out. */
size_t reader_ready(struct reader *reader, struct ready *ready, size_t most);
void reader_stats(struct reader *reader, struct reader_stats *stats);

#endif
