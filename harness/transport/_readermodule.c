/* The native reader (reader_core.h) as a Python type: streamgauge.transport._reader.Reader. _reader.pyi describes it.
 *
 * Stable ABI: one binary for every Python from 3.11 on. All calls run with the GIL, which the core asks for. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reader_core.h"

enum {
    READY_AT_ONCE = 256,
    VERSION = 2, /* of what Python and this file expect of each other; native.py has the same number */
};

typedef struct {
    PyObject_HEAD struct reader *reader; /* NULL when it is closed */
    pid_t pid;                           /* of the process that has the thread */
} Reader;

static PyTypeObject *taken_type;

static const struct {
    const char *name;
    long value;
} CONSTANTS[] = {
    {"FIRST", WHY_FIRST}, {"EVERY", WHY_EVERY},     {"SIZE", WHY_SIZE},         {"TAIL", WHY_TAIL},
    {"END", WHY_END},     {"ERROR", WHY_ERROR},     {"DEADLINE", WHY_DEADLINE}, {"SILENCE", WHY_SILENCE},
    {"FULL", WHY_FULL},   {"TAIL_MOST", TAIL_MOST},
};

static PyStructSequence_Field TAKEN_FIELDS[] = {
    {"data", "all bytes of the reads, joined"},
    {"t_ns", "int64 for each read: the kernel's arrival stamp, epoch ns"},
    {"user_ns", "int64 for each read: when recvmsg returned, epoch ns"},
    {"empty_ns", "int64 for each read: when the socket was last known to be empty, epoch ns"},
    {"sizes", "uint32 for each read"},
    {"unstamped", "uint32 indexes of the reads without a usable stamp; their t_ns is their user_ns"},
    {"ended", "None while open, 0 after the end of file, errno after an error"},
    {"ended_ns", "when the end was noticed, epoch ns; None while open"},
    {NULL, NULL},
};
static PyStructSequence_Desc TAKEN = {"streamgauge.transport._reader.Taken", "What `Reader.take` moved out.",
                                      TAKEN_FIELDS, 8};

/* The core, or NULL with an exception. In a forked child the thread does not exist, and its locks may be held. */
static struct reader *core_of(PyObject *self) {
    Reader *own = (Reader *)self;
    if (!own->reader) PyErr_SetString(PyExc_RuntimeError, "the reader is closed: make another one");
    else if (own->pid != getpid())
        PyErr_SetString(PyExc_RuntimeError, "the reader belongs to the parent process: make one in this process");
    else return own->reader;
    return NULL;
}

static bool slot_of(PyObject *value, uint64_t *slot) {
    *slot = PyLong_AsUnsignedLongLong(value);
    return !PyErr_Occurred();
}

/* Turns the errno of a core function into an exception. False when there is one. */
static bool succeeded(int error) {
    if (!error) return true;
    if (error == ENOENT) {
        PyErr_SetString(PyExc_ValueError, "no such slot: it was removed, or never added");
    } else {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
    }
    return false;
}

static PyObject *reader_new(PyTypeObject *type, PyObject *arguments, PyObject *named) {
    static char *names[] = {"most_bytes", "most_stream_bytes", "realtime", "nice", NULL};
    Py_ssize_t most_bytes = 0, most_stream_bytes = 0;
    int realtime = 1, nice = -10;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "|$nnpi:Reader", names, &most_bytes, &most_stream_bytes,
                                     &realtime, &nice))
        return NULL;
    if (most_bytes <= 0 || most_stream_bytes <= 0) {
        PyErr_SetString(PyExc_ValueError, "most_bytes and most_stream_bytes are needed, and must be positive");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Reader *self = (Reader *)allocate(type, 0);
    if (!self) return NULL;
    self->pid = getpid();
    self->reader = reader_start((size_t)most_bytes, (size_t)most_stream_bytes, realtime, nice);
    if (!self->reader) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

/* In a forked child this does nothing: the memory is a copy, and the descriptors are closed when the child ends. */
static void close_core(Reader *self) {
    struct reader *reader = self->reader;
    self->reader = NULL;
    if (reader && self->pid == getpid()) reader_stop(reader);
}

static void reader_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    close_core((Reader *)self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *method_close(PyObject *self, PyObject *unused) {
    (void)unused;
    close_core((Reader *)self);
    Py_RETURN_NONE;
}

static PyObject *method_fileno(PyObject *self, PyObject *unused) {
    (void)unused;
    struct reader *core = core_of(self);
    return core ? PyLong_FromLong(reader_fd(core)) : NULL;
}

static PyObject *method_add(PyObject *self, PyObject *descriptor) {
    struct reader *core = core_of(self);
    uint64_t slot;
    int fd = core ? PyObject_AsFileDescriptor(descriptor) : -1;
    if (fd < 0 || !succeeded(reader_add(core, fd, &slot))) return NULL;
    return PyLong_FromUnsignedLongLong(slot);
}

static PyObject *method_arm(PyObject *self, PyObject *arguments, PyObject *named) {
    static char *names[] = {"slot", "wake", "size", "tail", "deadline_ns", "silence_ns", NULL};
    struct reader *core = core_of(self);
    unsigned long long slot;
    long long deadline_ns = 0, silence_ns = 0;
    Py_ssize_t size = 0, tail_bytes = 0;
    const char *tail = "";
    struct policy policy = {0};
    bool woke;
    if (!core || !PyArg_ParseTupleAndKeywords(arguments, named, "KI|$ny#LL:arm", names, &slot, &policy.wake, &size,
                                              &tail, &tail_bytes, &deadline_ns, &silence_ns))
        return NULL;
    const char *wrong = NULL;
    if (policy.wake & ~(unsigned)(WHY_FIRST | WHY_EVERY | WHY_SIZE | WHY_TAIL))
        wrong = "wake must be made of FIRST, EVERY, SIZE and TAIL; the other reasons always wake";
    else if (size < 0 || (policy.wake & WHY_SIZE && !size)) wrong = "SIZE needs a positive size";
    else if (tail_bytes > TAIL_MOST || (policy.wake & WHY_TAIL && !tail_bytes))
        wrong = "TAIL needs a tail of 1 to 16 bytes";
    else if (deadline_ns < 0 || silence_ns < 0) wrong = "deadline_ns and silence_ns must not be negative; 0 is none";
    if (wrong) {
        PyErr_SetString(PyExc_ValueError, wrong);
        return NULL;
    }
    policy.size = (size_t)size;
    policy.tail_bytes = (size_t)tail_bytes;
    memcpy(policy.tail, tail, policy.tail_bytes);
    policy.deadline_ns = deadline_ns;
    policy.silence_ns = silence_ns;
    return succeeded(reader_arm(core, slot, &policy, &woke)) ? PyBool_FromLong(woke) : NULL;
}

static PyObject *method_disarm(PyObject *self, PyObject *number) {
    struct reader *core = core_of(self);
    uint64_t slot;
    if (!core || !slot_of(number, &slot) || !succeeded(reader_disarm(core, slot))) return NULL;
    Py_RETURN_NONE;
}

static PyObject *method_remove(PyObject *self, PyObject *number) {
    struct reader *core = core_of(self);
    uint64_t slot;
    if (!core || !slot_of(number, &slot) || !succeeded(reader_remove(core, slot))) return NULL;
    Py_RETURN_NONE;
}

static PyObject *method_ready(PyObject *self, PyObject *unused) {
    (void)unused;
    struct reader *core = core_of(self);
    PyObject *list = core ? PyList_New(0) : NULL;
    struct ready ready[READY_AT_ONCE];
    size_t n = READY_AT_ONCE;
    while (list && n == READY_AT_ONCE) {
        n = reader_ready(core, ready, READY_AT_ONCE);
        for (size_t i = 0; list && i < n; i++) {
            PyObject *pair = Py_BuildValue("(KI)", (unsigned long long)ready[i].slot, ready[i].why);
            if (!pair || PyList_Append(list, pair)) Py_CLEAR(list);
            Py_XDECREF(pair);
        }
    }
    return list;
}

/* The end of a slot as Python has it: None while it is open. */
static PyObject *end_or_none(int ended, long long value) {
    if (ended == OPEN) Py_RETURN_NONE;
    return PyLong_FromLongLong(value);
}

static PyObject *method_stored(PyObject *self, PyObject *number) {
    struct reader *core = core_of(self);
    uint64_t slot;
    size_t bytes;
    int ended;
    if (!core || !slot_of(number, &slot) || !succeeded(reader_stored(core, slot, &bytes, &ended))) return NULL;
    return Py_BuildValue("(nN)", (Py_ssize_t)bytes, end_or_none(ended, ended));
}

/* A new bytes object of that size, its memory in `*memory`; NULL with an exception. */
static PyObject *packed(size_t bytes, void *memory) {
    PyObject *object = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    *(void **)memory = object ? PyBytes_AsString(object) : NULL;
    return object;
}

/* Turns the notes of the reads into arrays, a bytes object each. False with an exception. */
static bool pack_reads(PyObject *result, const struct taken *taken) {
    size_t unstamped_count = 0;
    for (size_t i = 0; i < taken->count; i++) unstamped_count += !taken->reads[i].stamped;
    int64_t *t_ns, *user_ns, *empty_ns;
    uint32_t *sizes, *unstamped;
    PyObject *arrays[] = {
        packed(taken->count * sizeof *t_ns, &t_ns),
        packed(taken->count * sizeof *user_ns, &user_ns),
        packed(taken->count * sizeof *empty_ns, &empty_ns),
        packed(taken->count * sizeof *sizes, &sizes),
        packed(unstamped_count * sizeof *unstamped, &unstamped),
    };
    for (int i = 0; i < 5; i++) PyStructSequence_SetItem(result, i + 1, arrays[i]);
    if (!t_ns || !user_ns || !empty_ns || !sizes || !unstamped) return false;
    for (size_t i = 0; i < taken->count; i++) {
        const struct read_note *read = &taken->reads[i];
        t_ns[i] = read->t_ns;
        user_ns[i] = read->user_ns;
        empty_ns[i] = read->empty_ns;
        sizes[i] = read->size;
        if (!read->stamped) *unstamped++ = (uint32_t)i;
    }
    return true;
}

static PyObject *method_take(PyObject *self, PyObject *number) {
    struct reader *core = core_of(self);
    uint64_t slot;
    struct taken taken;
    if (!core || !slot_of(number, &slot) || !succeeded(reader_take(core, slot, &taken))) return NULL;
    PyObject *result = PyStructSequence_New(taken_type);
    if (result) {
        PyObject *data = PyBytes_FromStringAndSize(taken.data, (Py_ssize_t)taken.bytes);
        PyStructSequence_SetItem(result, 0, data);
        PyStructSequence_SetItem(result, 6, end_or_none(taken.ended, taken.ended));
        PyStructSequence_SetItem(result, 7, end_or_none(taken.ended, taken.ended_ns));
        if (!pack_reads(result, &taken) || !data) Py_CLEAR(result);
    }
    free(taken.data);
    free(taken.reads);
    return result;
}

static PyObject *method_stats(PyObject *self, PyObject *unused) {
    (void)unused;
    struct reader *core = core_of(self);
    struct reader_stats s;
    if (!core) return NULL;
    reader_stats(core, &s);
    PyObject *nice = s.niced ? PyLong_FromLong(s.nice) : (Py_INCREF(Py_None), Py_None);
    PyObject *slice_ns = s.slice_ns ? PyLong_FromLongLong(s.slice_ns) : (Py_INCREF(Py_None), Py_None);
    return Py_BuildValue("{sKsKsKsKsKsKsKsKsNsNsN}", "reads", s.reads, "bytes", s.bytes, "wakes", s.wakes, "stored",
                         s.stored, "pauses", s.pauses, "holds", s.holds, "held_ns", s.held_ns, "cpu_ns", s.cpu_ns,
                         "realtime", PyBool_FromLong(s.realtime), "nice", nice, "slice_ns", slice_ns);
}

#pragma GCC diagnostic ignored "-Wcast-function-type"
static PyMethodDef METHODS[] = {
    {"fileno", method_fileno, METH_NOARGS, NULL},
    {"add", method_add, METH_O, NULL},
    {"arm", (PyCFunction)method_arm, METH_VARARGS | METH_KEYWORDS, NULL},
    {"disarm", method_disarm, METH_O, NULL},
    {"ready", method_ready, METH_NOARGS, NULL},
    {"take", method_take, METH_O, NULL},
    {"stored", method_stored, METH_O, NULL},
    {"remove", method_remove, METH_O, NULL},
    {"stats", method_stats, METH_NOARGS, NULL},
    {"close", method_close, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_new, reader_new},
    {Py_tp_dealloc, reader_dealloc},
    {Py_tp_methods, METHODS},
    {Py_tp_doc, "A thread outside the GIL that reads many sockets; see reader_core.h."},
    {0, NULL},
};
static PyType_Spec SPEC = {
    .name = "streamgauge.transport._reader.Reader",
    .basicsize = sizeof(Reader),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = SLOTS,
};

static struct PyModuleDef MODULE = {PyModuleDef_HEAD_INIT, .m_name = "_reader", .m_size = -1};

PyMODINIT_FUNC PyInit__reader(void) {
    PyObject *module = PyModule_Create(&MODULE);
    PyObject *type = PyType_FromSpec(&SPEC);
    taken_type = PyStructSequence_NewType(&TAKEN);
    bool failed = !module || !type || !taken_type;
    for (size_t i = 0; !failed && i < sizeof CONSTANTS / sizeof *CONSTANTS; i++) {
        PyObject *value = PyLong_FromLong(CONSTANTS[i].value);
        failed = !value || PyObject_SetAttrString(type, CONSTANTS[i].name, value);
        Py_XDECREF(value);
    }
    failed = failed || PyModule_AddObjectRef(module, "Reader", type) ||
             PyModule_AddObjectRef(module, "Taken", (PyObject *)taken_type) ||
             PyModule_AddIntConstant(module, "VERSION", VERSION);
    Py_XDECREF(type);
    if (failed) Py_CLEAR(module);
    return module;
}
