/* See reader_core.h for what this is and how it works. */
#define _GNU_SOURCE
#include "reader_core.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 256,             /* reports of one epoll_wait */
    OFFER_BYTES = 64 * 1024, /* room that each recvmsg has at least, so that it takes all that waits, as a rule */
    FIRST_BYTES = 4096,      /* room of a stream at its first read */
    FIRST_NOTES = 32,
    FIRST_SLOTS = 64,
    STACK_BYTES = 256 * 1024,
    MANY = 16,                  /* with so many sockets the thread pauses between two batches */
    COLLECT_NS = 1000 * 1000,   /* for so long: a wake-up costs as much as reading from several sockets */
    LOOK_MS = 4,                /* but it looks at all sockets so often, also while nothing comes */
    SLICE_NS = 200 * 1000, /* a thread with a short slice is run sooner when it wakes (EEVDF, Linux 6.12) */
};

#define S_NS 1000000000LL
#define GENERATION (1ULL << 32) /* a slot's id is its index, and above it how often it has been used */

struct slot {
    /* Only callers use these. */
    uint64_t id; /* changes at remove, so that an old id is noticed */
    bool used;
    struct slot *next_free;

    pthread_mutex_t lock; /* guards what follows, to the next paragraph */
    int fd;
    bool armed;
    bool watched; /* registered with epoll: neither paused nor ended */
    bool full;    /* paused, because it holds most_stream_bytes */
    char *data;
    size_t bytes, room;
    struct read_note *notes;
    size_t count, note_room;
    int64_t drained_ns; /* epoch time of the last read that left nothing behind */
    int64_t added_ns;   /* epoch time: a look before it did not include this socket */
    int64_t last_ns; /* monotonic time of the last read, or of the arm */
    struct policy policy;
    int ended;
    int64_t ended_ns;
    unsigned char gone[TAIL_MOST]; /* the last bytes that were taken: a tail may begin in them */
    size_t gone_bytes;

    /* The reader's lock guards these. */
    unsigned why; /* not 0: in the ready queue */
    struct slot *before, *after;
    size_t place; /* in the heap, counted from 1; 0: not in it */
    int64_t due_ns;
};

struct reader {
    size_t most_bytes, most_stream_bytes;
    int poll, ready_event, control_event, timer;
    pthread_t thread;
    sem_t settled; /* the thread has asked for its priority */
    bool realtime;
    int nice;
    _Atomic bool stopping, holding, got_realtime, got_nice;
    _Atomic int64_t slice_ns;
    _Atomic uint64_t stored, reads, bytes, pauses, holds, held_ns;
    _Atomic size_t watching; /* sockets */
    struct slot *free; /* removed slots; only callers use it */

    pthread_mutex_t lock; /* guards what follows, to the next paragraph */
    struct slot **slots, **heap;
    size_t slot_count, slot_room, heap_count;
    struct slot *first, *last; /* the ready queue */
    uint64_t wakes;
    int64_t timer_ns; /* what the timer is set to; 0: nothing */

    /* Only the thread uses these. */
    int64_t now_ns;     /* monotonic, once for each batch */
    int64_t looked_ns;  /* epoch time of a look at all sockets: those with bytes have been read since */
    int64_t resumed_ns; /* end of the last hold: no silence is counted from before */
    bool announce;      /* the ready queue has become non-empty: write the event at the end of the batch */
    char scratch[OFFER_BYTES];
};

static int64_t clock_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * S_NS + now.tv_nsec;
}

/* Of counters that only the thread changes: cheaper than an atomic addition. */
static void count(_Atomic uint64_t *counter, uint64_t more) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + more, memory_order_relaxed);
}

static void signal_event(int event) {
    uint64_t one = 1;
    while (write(event, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static void clear_event(int event) {
    uint64_t value;
    while (read(event, &value, sizeof value) < 0 && errno == EINTR) {
    }
}

/* ---- The ready queue: a slot is in it once, with all its reasons. ---- */

/* Adds a reason. True when the queue was empty: the caller has to write the ready event. */
static bool wake(struct reader *r, struct slot *s, unsigned why) {
    if (!why) return false;
    if (why & WHY_FIRST) s->policy.wake &= ~(unsigned)WHY_FIRST;
    pthread_mutex_lock(&r->lock);
    bool was_empty = !r->first;
    if (!s->why) {
        s->before = r->last;
        s->after = NULL;
        *(r->last ? &r->last->after : &r->first) = s;
        r->last = s;
        r->wakes++;
    }
    s->why |= why;
    pthread_mutex_unlock(&r->lock);
    return was_empty;
}

static void leave_queue(struct reader *r, struct slot *s) {
    if (!s->why) return;
    s->why = 0;
    *(s->before ? &s->before->after : &r->first) = s->after;
    *(s->after ? &s->after->before : &r->last) = s->before;
}

size_t reader_ready(struct reader *r, struct ready *ready, size_t most) {
    /* Before the look at the queue: a slot that comes after this clears nothing, and writes the event again. */
    clear_event(r->ready_event);
    size_t n = 0;
    pthread_mutex_lock(&r->lock);
    while (r->first && n < most) {
        struct slot *s = r->first;
        ready[n++] = (struct ready){s->id, s->why};
        leave_queue(r, s);
    }
    pthread_mutex_unlock(&r->lock);
    return n;
}

/* ---- Deadlines: a heap of slots, the earliest first. A slot is in it once, at its due time or earlier: a read that
 * puts off the end of the silence does not touch the heap; the time is computed again when the entry comes up. ---- */

static void put(struct reader *r, size_t place, struct slot *s) {
    r->heap[place - 1] = s;
    s->place = place;
}

static void move_up(struct reader *r, struct slot *s) {
    size_t place = s->place;
    for (; place > 1 && r->heap[place / 2 - 1]->due_ns > s->due_ns; place /= 2) put(r, place, r->heap[place / 2 - 1]);
    put(r, place, s);
}

static struct slot *pop_earliest(struct reader *r) {
    struct slot *top = r->heap[0], *moved = r->heap[--r->heap_count];
    size_t place = 1, child;
    while ((child = 2 * place) <= r->heap_count) {
        if (child < r->heap_count && r->heap[child]->due_ns < r->heap[child - 1]->due_ns) child++;
        if (r->heap[child - 1]->due_ns >= moved->due_ns) break;
        put(r, place, r->heap[child - 1]);
        place = child;
    }
    if (moved != top) put(r, place, moved);
    top->place = 0;
    return top;
}

static void set_timer(struct reader *r) {
    r->timer_ns = r->heap_count ? r->heap[0]->due_ns : 0;
    struct itimerspec at = {.it_value = {.tv_sec = r->timer_ns / S_NS, .tv_nsec = r->timer_ns % S_NS}};
    timerfd_settime(r->timer, TFD_TIMER_ABSTIME, &at, NULL); /* also makes it unreadable again */
}

static void schedule(struct reader *r, struct slot *s, int64_t due_ns) {
    pthread_mutex_lock(&r->lock);
    if (!s->place || due_ns < s->due_ns) {
        s->due_ns = due_ns;
        if (!s->place) put(r, ++r->heap_count, s); /* there is room: the heap grows with the slots */
        move_up(r, s);
        if (!r->timer_ns || due_ns < r->timer_ns) set_timer(r);
    }
    pthread_mutex_unlock(&r->lock);
}

/* ---- One slot. All these want its lock. ---- */

static int64_t silent_from(const struct reader *r, const struct slot *s) {
    return s->last_ns > r->resumed_ns ? s->last_ns : r->resumed_ns;
}

/* When to look at the slot for its deadline and its silence; 0 for never. */
static int64_t due_of(const struct slot *s, int64_t last_ns) {
    int64_t deadline_ns = s->policy.deadline_ns;
    int64_t silent_ns = s->policy.silence_ns ? last_ns + s->policy.silence_ns : 0;
    return !silent_ns || (deadline_ns && deadline_ns < silent_ns) ? deadline_ns : silent_ns;
}

/* Whether the bytes received so far end with the tail. Its first bytes may have been taken already. */
static bool ends_with_tail(const struct slot *s) {
    const struct policy *p = &s->policy;
    size_t here = s->bytes < p->tail_bytes ? s->bytes : p->tail_bytes, gone = p->tail_bytes - here;
    return here && gone <= s->gone_bytes && !memcmp(s->data + s->bytes - here, p->tail + gone, here) &&
           !memcmp(s->gone + s->gone_bytes - gone, p->tail, gone);
}

/* The reasons to wake that hold now. */
static unsigned met(const struct reader *r, const struct slot *s) {
    unsigned why = 0, wanted = s->policy.wake;
    if (!s->armed) return 0;
    if (s->count) why |= wanted & (WHY_FIRST | WHY_EVERY);
    if (wanted & WHY_SIZE && s->bytes >= s->policy.size) why |= WHY_SIZE;
    if (wanted & WHY_TAIL && ends_with_tail(s)) why |= WHY_TAIL;
    if (s->full || (s->count && atomic_load(&r->holding))) why |= WHY_FULL;
    if (s->ended != OPEN) why |= s->ended ? WHY_ERROR : WHY_END;
    return why;
}

static void unwatch(struct reader *r, struct slot *s) {
    if (!s->watched) return;
    epoll_ctl(r->poll, EPOLL_CTL_DEL, s->fd, NULL);
    s->watched = false;
    atomic_fetch_sub(&r->watching, 1);
}

static void end(struct reader *r, struct slot *s, int error) {
    /* Unwatched, because epoll would report an ended socket for ever. */
    unwatch(r, s);
    s->ended = error;
    s->ended_ns = clock_ns(CLOCK_REALTIME);
    s->policy.deadline_ns = s->policy.silence_ns = 0;
}

static int watch(struct reader *r, struct slot *s) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(r->poll, EPOLL_CTL_ADD, s->fd, &event)) return errno;
    s->watched = true;
    atomic_fetch_add(&r->watching, 1);
    return 0;
}

/* The memory, with room for so many items: doubled and moved, if need be. NULL when there is none: the old one stays.
 */
static void *grown(void *memory, size_t *room, size_t wanted, size_t first, size_t item_bytes) {
    if (wanted <= *room) return memory;
    size_t bigger = *room ? *room : first;
    while (bigger < wanted) bigger *= 2;
    void *moved = realloc(memory, bigger * item_bytes);
    if (moved) *room = bigger;
    return moved;
}

static bool is_over(const struct reader *r) {
    return atomic_load_explicit(&r->stored, memory_order_relaxed) >= r->most_bytes;
}

static size_t cost(const struct slot *s) { return s->bytes + s->count * sizeof(struct read_note); }

/* The kernel's arrival stamp; 0 where there is none. MSG_CTRUNC cuts a stamp short, which its length shows. */
static int64_t stamp_of(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct timespec at;
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS && c->cmsg_len == CMSG_LEN(sizeof at)) {
            memcpy(&at, CMSG_DATA(c), sizeof at);
            return at.tv_sec * S_NS + at.tv_nsec;
        }
    }
    return 0;
}

/* One recvmsg: into the stream's own room, and what does not fit there into the scratch buffer. */
static void receive(struct reader *r, struct slot *s) {
    struct read_note *notes = grown(s->notes, &s->note_room, s->count + 1, FIRST_NOTES, sizeof *notes);
    if (!notes) {
        end(r, s, ENOMEM);
        return;
    }
    s->notes = notes;
    size_t free_bytes = s->room - s->bytes;
    struct iovec into[2] = {{free_bytes ? s->data + s->bytes : r->scratch, free_bytes}, {r->scratch, OFFER_BYTES}};
    union {
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
        struct cmsghdr aligned;
    } control;
    struct msghdr message = {
        .msg_iov = into, .msg_iovlen = 2, .msg_control = &control, .msg_controllen = sizeof control};
    int64_t before_ns = clock_ns(CLOCK_REALTIME);
    ssize_t got = recvmsg(s->fd, &message, MSG_DONTWAIT);
    if (got <= 0) {
        if (!got) end(r, s, 0);
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) end(r, s, errno);
        return;
    }
    int64_t user_ns = clock_ns(CLOCK_REALTIME), t_ns = stamp_of(&message);
    size_t size = (size_t)got;
    if (size > free_bytes) {
        char *data = grown(s->data, &s->room, s->bytes + size, FIRST_BYTES, 1);
        if (!data) {
            end(r, s, ENOMEM);
            return;
        }
        s->data = data;
        memcpy(s->data + s->bytes + free_bytes, r->scratch, size - free_bytes);
    }
    /* A stamp from the future: the clock was set back between arrival and read. It is useless. */
    bool stamped = t_ns && t_ns <= user_ns;
    int64_t looked_ns = r->looked_ns > s->added_ns ? r->looked_ns : 0;
    int64_t empty_ns = s->drained_ns > looked_ns ? s->drained_ns : looked_ns;
    s->notes[s->count++] = (struct read_note){stamped ? t_ns : user_ns, user_ns, empty_ns, (uint32_t)size, stamped};
    if (size < free_bytes + OFFER_BYTES) s->drained_ns = before_ns; /* all that had come was taken */
    s->bytes += size;
    s->last_ns = r->now_ns;
    atomic_fetch_add_explicit(&r->stored, size + sizeof *s->notes, memory_order_relaxed);
    count(&r->reads, 1);
    count(&r->bytes, size);
    if (cost(s) >= r->most_stream_bytes) {
        unwatch(r, s);
        s->full = true;
        count(&r->pauses, 1);
    }
}

/* ---- The thread. ---- */

/* epoll reported this slot. It may have been removed since, or stand for another socket: then this finds nothing. */
static void read_slot(struct reader *r, struct slot *s) {
    pthread_mutex_lock(&s->lock);
    if (s->watched) {
        size_t had = s->count;
        receive(r, s);
        if (s->count != had || s->ended != OPEN) r->announce |= wake(r, s, met(r, s));
    }
    pthread_mutex_unlock(&s->lock);
}

/* A slot whose time may have come. What waits in the kernel is read first: a late look must not find a silence. */
static void check_time(struct reader *r, struct slot *s) {
    pthread_mutex_lock(&s->lock);
    struct policy *p = &s->policy;
    int64_t due_ns = due_of(s, silent_from(r, s));
    bool reading = s->watched && !is_over(r);
    size_t had = s->count;
    if (due_ns && due_ns <= r->now_ns && reading) receive(r, s);
    unsigned why = s->count != had || s->ended != OPEN ? met(r, s) : 0;
    if (p->deadline_ns && p->deadline_ns <= r->now_ns) {
        why |= WHY_DEADLINE;
        p->deadline_ns = 0;
    }
    if (p->silence_ns && silent_from(r, s) + p->silence_ns <= r->now_ns) {
        if (reading) {
            why |= WHY_SILENCE;
            p->silence_ns = 0;
        } else {
            s->last_ns = r->now_ns; /* nobody reads: that is not the peer's silence */
        }
    }
    r->announce |= wake(r, s, why);
    due_ns = due_of(s, silent_from(r, s));
    if (due_ns) schedule(r, s, due_ns);
    pthread_mutex_unlock(&s->lock);
}

static void check_times(struct reader *r) {
    pthread_mutex_lock(&r->lock);
    while (r->heap_count && r->heap[0]->due_ns <= r->now_ns) {
        struct slot *s = pop_earliest(r);
        pthread_mutex_unlock(&r->lock);
        check_time(r, s);
        pthread_mutex_lock(&r->lock);
    }
    set_timer(r);
    pthread_mutex_unlock(&r->lock);
}

static void announce(struct reader *r) {
    if (r->announce) signal_event(r->ready_event);
    r->announce = false;
}

/* Reads nothing until enough bytes are taken. Every slot with bytes is woken, so that somebody takes them. */
static void hold(struct reader *r) {
    int64_t from_ns = clock_ns(CLOCK_MONOTONIC);
    atomic_store(&r->holding, true);
    count(&r->holds, 1);
    for (size_t i = 0;; i++) {
        pthread_mutex_lock(&r->lock);
        struct slot *s = i < r->slot_count ? r->slots[i] : NULL;
        pthread_mutex_unlock(&r->lock);
        if (!s) break;
        pthread_mutex_lock(&s->lock);
        r->announce |= wake(r, s, met(r, s) & WHY_FULL);
        pthread_mutex_unlock(&s->lock);
    }
    struct pollfd events[2] = {{.fd = r->control_event, .events = POLLIN}, {.fd = r->timer, .events = POLLIN}};
    while (!atomic_load(&r->stopping) && is_over(r)) {
        announce(r);
        if (poll(events, 2, -1) < 0) continue;
        r->now_ns = clock_ns(CLOCK_MONOTONIC);
        if (events[0].revents) clear_event(r->control_event);
        if (events[1].revents) check_times(r);
    }
    atomic_store(&r->holding, false);
    r->resumed_ns = clock_ns(CLOCK_MONOTONIC);
    count(&r->held_ns, (uint64_t)(r->resumed_ns - from_ns));
}

/* Linux's struct sched_attr, which only the newest C libraries declare. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
    uint32_t util_min, util_max;
};

/* A busy neighbour must not delay a read: two bytes that wait together share one arrival stamp. Beside two busy
 * processes on one core, the p99 from arrival to read was 0.2 to 1.5 ms with SCHED_RR and 4 to 18 ms with nice -10. The
 * real-time class needs CAP_SYS_NICE or RLIMIT_RTPRIO, a lower nice value CAP_SYS_NICE or RLIMIT_NICE. A short slice
 * needs no right. */
static void improve_scheduling(struct reader *r) {
    struct sched_param lowest = {.sched_priority = sched_get_priority_min(SCHED_RR)};
    if (r->realtime && !pthread_setschedparam(pthread_self(), SCHED_RR, &lowest)) {
        atomic_store(&r->got_realtime, true);
        return;
    }
    atomic_store(&r->got_nice, !setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), r->nice));
    struct scheduling now = {.size = sizeof now};
    if (syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) || now.policy != SCHED_OTHER) return;
    now.runtime_ns = SLICE_NS;
    if (syscall(SYS_sched_setattr, 0, &now, 0) || syscall(SYS_sched_getattr, 0, &now, sizeof now, 0)) return;
    if (now.runtime_ns == SLICE_NS) atomic_store(&r->slice_ns, SLICE_NS);
}

static void *run(void *argument) {
    struct reader *r = argument;
    struct epoll_event events[BATCH];
    const struct timespec collect = {.tv_nsec = COLLECT_NS};
    improve_scheduling(r);
    sem_post(&r->settled);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL); /* a pause must not last longer than it says */
    while (!atomic_load(&r->stopping)) {
        int64_t look_ns = clock_ns(CLOCK_REALTIME);
        int reports = epoll_wait(r->poll, events, BATCH, atomic_load(&r->watching) ? LOOK_MS : -1);
        if (reports < 0 && errno != EINTR) break; /* the program has closed a descriptor of ours */
        r->now_ns = clock_ns(CLOCK_MONOTONIC);
        bool time_is_up = false;
        for (int i = 0; i < reports; i++) {
            void *what = events[i].data.ptr;
            if (what == &r->timer) time_is_up = true; /* the bytes first: they may end a silence */
            else if (what == &r->control_event) clear_event(r->control_event);
            else if (!is_over(r)) read_slot(r, what);
        }
        if (time_is_up) check_times(r);
        if (is_over(r)) hold(r);
        else if (reports < BATCH) r->looked_ns = look_ns; /* a full batch may have left sockets out */
        announce(r);
        if (reports > 0 && atomic_load(&r->watching) >= MANY) nanosleep(&collect, NULL);
    }
    return NULL;
}

/* ---- What callers call. ---- */

static void release(struct reader *r) {
    int fds[] = {r->poll, r->ready_event, r->control_event, r->timer};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    for (size_t i = 0; i < r->slot_count; i++) {
        pthread_mutex_destroy(&r->slots[i]->lock);
        free(r->slots[i]->data);
        free(r->slots[i]->notes);
        free(r->slots[i]);
    }
    pthread_mutex_destroy(&r->lock);
    sem_destroy(&r->settled);
    free(r->slots);
    free(r->heap);
    free(r);
}

static int watch_own(struct reader *r, int *fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fd};
    return epoll_ctl(r->poll, EPOLL_CTL_ADD, *fd, &event);
}

/* The thread handles no signal: the program's own threads do. */
static int start_thread(struct reader *r) {
    sigset_t all, old;
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    error = pthread_create(&r->thread, &attributes, run, r);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

struct reader *reader_start(size_t most_bytes, size_t most_stream_bytes, bool realtime, int nice) {
    struct reader *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->most_bytes = most_bytes;
    r->most_stream_bytes = most_stream_bytes;
    r->realtime = realtime;
    r->nice = nice;
    pthread_mutex_init(&r->lock, NULL);
    sem_init(&r->settled, 0, 0);
    r->poll = epoll_create1(EPOLL_CLOEXEC);
    r->ready_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->control_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bool failed = r->poll < 0 || r->ready_event < 0 || r->control_event < 0 || r->timer < 0 ||
                  watch_own(r, &r->control_event) || watch_own(r, &r->timer);
    int error = failed ? errno : start_thread(r);
    if (!error) {
        while (sem_wait(&r->settled)) /* until the thread knows its priority; only a signal breaks the wait */
            ;
        return r;
    }
    release(r);
    errno = error;
    return NULL;
}

void reader_stop(struct reader *r) {
    atomic_store(&r->stopping, true);
    signal_event(r->control_event);
    pthread_join(r->thread, NULL);
    release(r);
}

int reader_fd(const struct reader *r) { return r->ready_event; }

static struct slot *find(struct reader *r, uint64_t id) {
    size_t index = (uint32_t)id;
    struct slot *s = index < r->slot_count ? r->slots[index] : NULL;
    return s && s->used && s->id == id ? s : NULL;
}

/* Room for one more slot in the table and in the heap. */
static bool make_room(struct reader *r) {
    size_t wanted = r->slot_count + 1, heap_room = r->slot_room;
    struct slot **heap = grown(r->heap, &heap_room, wanted, FIRST_SLOTS, sizeof *heap);
    if (!heap) return false;
    r->heap = heap;
    struct slot **slots = grown(r->slots, &r->slot_room, wanted, FIRST_SLOTS, sizeof *slots);
    if (!slots) return false;
    r->slots = slots;
    return true;
}

static struct slot *new_slot(struct reader *r) {
    struct slot *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_lock(&r->lock);
    bool room = make_room(r);
    if (room) {
        s->id = GENERATION | r->slot_count;
        r->slots[r->slot_count++] = s;
    }
    pthread_mutex_unlock(&r->lock);
    if (room) return s;
    pthread_mutex_destroy(&s->lock);
    free(s);
    return NULL;
}

int reader_add(struct reader *r, int fd, uint64_t *slot) {
    struct slot *s = r->free ? r->free : new_slot(r);
    if (!s) return ENOMEM;
    r->free = s->next_free;
    pthread_mutex_lock(&s->lock);
    s->fd = fd;
    s->ended = OPEN;
    s->drained_ns = 0;
    s->added_ns = clock_ns(CLOCK_REALTIME);
    int error = watch(r, s);
    pthread_mutex_unlock(&s->lock);
    s->used = !error;
    *slot = s->id;
    if (error) {
        s->next_free = r->free;
        r->free = s;
    }
    return error;
}

static void forget_reasons(struct reader *r, struct slot *s) {
    pthread_mutex_lock(&r->lock);
    leave_queue(r, s);
    pthread_mutex_unlock(&r->lock);
}

int reader_arm(struct reader *r, uint64_t slot, const struct policy *policy, bool *woke) {
    struct slot *s = find(r, slot);
    if (!s) return ENOENT;
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    pthread_mutex_lock(&s->lock);
    forget_reasons(r, s);
    s->armed = true;
    s->policy = *policy;
    s->last_ns = now_ns;
    if (s->ended != OPEN) s->policy.deadline_ns = s->policy.silence_ns = 0;
    unsigned why = met(r, s);
    if (s->policy.deadline_ns && s->policy.deadline_ns <= now_ns) {
        why |= WHY_DEADLINE;
        s->policy.deadline_ns = 0;
    }
    bool was_empty = wake(r, s, why);
    int64_t due_ns = due_of(s, now_ns);
    if (due_ns) schedule(r, s, due_ns);
    pthread_mutex_unlock(&s->lock);
    if (was_empty) signal_event(r->ready_event);
    *woke = why != 0;
    return 0;
}

int reader_disarm(struct reader *r, uint64_t slot) {
    struct slot *s = find(r, slot);
    if (!s) return ENOENT;
    pthread_mutex_lock(&s->lock);
    forget_reasons(r, s);
    s->armed = false;
    s->policy = (struct policy){0};
    pthread_mutex_unlock(&s->lock);
    return 0;
}

static void remember_ending(struct slot *s) {
    size_t here = s->bytes < TAIL_MOST ? s->bytes : TAIL_MOST;
    size_t kept = s->gone_bytes < TAIL_MOST - here ? s->gone_bytes : TAIL_MOST - here;
    memmove(s->gone, s->gone + s->gone_bytes - kept, kept);
    if (here) memcpy(s->gone + kept, s->data + s->bytes - here, here);
    s->gone_bytes = kept + here;
}

/* Takes the buffers out of the slot: nothing is copied while it is locked. Gives the bytes of memory that this frees.
 */
static size_t move_out(struct slot *s, struct taken *taken) {
    size_t freed = cost(s);
    *taken = (struct taken){s->data, s->bytes, s->notes, s->count, s->ended, s->ended_ns};
    s->data = NULL;
    s->notes = NULL;
    s->bytes = s->room = s->count = s->note_room = 0;
    return freed;
}

static void less_stored(struct reader *r, size_t freed) {
    atomic_fetch_sub(&r->stored, freed);
    if (atomic_load(&r->holding)) signal_event(r->control_event);
}

int reader_take(struct reader *r, uint64_t slot, struct taken *taken) {
    struct slot *s = find(r, slot);
    if (!s) return ENOENT;
    pthread_mutex_lock(&s->lock);
    if (s->full) {
        s->full = false;
        s->last_ns = clock_ns(CLOCK_MONOTONIC);
        int error = watch(r, s);
        if (error) end(r, s, error);
    }
    remember_ending(s);
    size_t freed = move_out(s, taken);
    pthread_mutex_unlock(&s->lock);
    less_stored(r, freed);
    return 0;
}

int reader_stored(struct reader *r, uint64_t slot, size_t *bytes, int *ended) {
    struct slot *s = find(r, slot);
    if (!s) return ENOENT;
    pthread_mutex_lock(&s->lock);
    *bytes = s->bytes;
    *ended = s->ended;
    pthread_mutex_unlock(&s->lock);
    return 0;
}

int reader_remove(struct reader *r, uint64_t slot) {
    struct slot *s = find(r, slot);
    struct taken rest;
    if (!s) return ENOENT;
    pthread_mutex_lock(&s->lock);
    unwatch(r, s);
    forget_reasons(r, s);
    size_t freed = move_out(s, &rest);
    s->armed = s->full = s->used = false;
    s->gone_bytes = 0;
    s->policy = (struct policy){0}; /* an entry in the heap stays, and finds nothing due */
    pthread_mutex_unlock(&s->lock);
    free(rest.data);
    free(rest.reads);
    less_stored(r, freed);
    s->id += GENERATION;
    s->next_free = r->free;
    r->free = s;
    return 0;
}

void reader_stats(struct reader *r, struct reader_stats *stats) {
    clockid_t clock;
    *stats = (struct reader_stats){
        .reads = atomic_load(&r->reads),
        .bytes = atomic_load(&r->bytes),
        .pauses = atomic_load(&r->pauses),
        .holds = atomic_load(&r->holds),
        .held_ns = atomic_load(&r->held_ns),
        .stored = atomic_load(&r->stored),
        .realtime = atomic_load(&r->got_realtime),
        .niced = atomic_load(&r->got_nice),
        .nice = r->nice,
        .slice_ns = atomic_load(&r->slice_ns),
        .cpu_ns = pthread_getcpuclockid(r->thread, &clock) ? 0 : (uint64_t)clock_ns(clock),
    };
    pthread_mutex_lock(&r->lock);
    stats->wakes = r->wakes;
    pthread_mutex_unlock(&r->lock);
}
