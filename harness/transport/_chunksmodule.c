/* Cuts a whole chunked body (RFC 9112 section 7.1) in one walk, for chunks_fast.py, which has the same in Python for
 * where no C compiler was. The bytes come from the endpoint under test: nothing here trusts a size before it has
 * looked at how many bytes there are. _chunks.pyi describes the module. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>

enum {
    VERSION = 1,     /* of what Python and this file expect of each other; native.py has the same number */
    MOST_DIGITS = 6, /* of a chunk size: more than a body that comes here may have */
};

/* Where the content of a chunk begins and ends. */
struct chunk {
    const char *begin, *end;
};

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20; /* lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_line_end(const char *at, const char *end) { return end - at >= 2 && at[0] == '\r' && at[1] == '\n'; }

/* The chunk at `at`, with both of its line ends; false for anything else. The last chunk, of size 0, has no content:
 * its second line end is the end of the (empty) trailer section. */
static bool read_chunk(const char *at, const char *end, struct chunk *chunk) {
    const char *first = at;
    ptrdiff_t size = 0;
    for (int digit; at < end && at - first < MOST_DIGITS && (digit = digit_of(*at)) >= 0; at++) size = size * 16 + digit;
    if (at == first || !is_line_end(at, end)) return false;
    if (!size && at - first > 1) return false; /* 00 is a size that llhttp takes; a fast path may leave it alone */
    chunk->begin = at + 2;
    if (end - chunk->begin < size) return false;
    chunk->end = chunk->begin + size;
    return is_line_end(chunk->end, end);
}

/* The number of chunks from `at` on, without the last chunk, which must end with `end`; -1 when this is not so. */
static Py_ssize_t count_chunks(const char *at, const char *end) {
    struct chunk chunk;
    for (Py_ssize_t count = 0; read_chunk(at, end, &chunk); count++) {
        at = chunk.end + 2;
        if (chunk.begin == chunk.end) return at == end ? count : -1;
    }
    return -1;
}

/* Put a number into a list that has room for it. */
static bool put(PyObject *list, Py_ssize_t index, Py_ssize_t number) {
    PyObject *value = PyLong_FromSsize_t(number);
    return value && !PyList_SetItem(list, index, value);
}

/* The offset in the data at which a read ends; -1 with an exception when its size is not a number. */
static Py_ssize_t end_of_read(PyObject *sizes, Py_ssize_t read, Py_ssize_t begin) {
    PyObject *item = PyList_GetItem(sizes, read);
    Py_ssize_t size = item ? PyLong_AsSsize_t(item) : -1;
    if (size < 0 || size > PY_SSIZE_T_MAX - begin) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "the size of a read is not negative, nor that large");
        return -1;
    }
    return begin + size;
}

static bool fill(const char *data, const char *at, const char *end, PyObject *sizes, PyObject *pieces, PyObject *ends,
                 PyObject *arrived) {
    struct chunk chunk;
    Py_ssize_t reads = PyList_Size(sizes), read = 0, read_end = 0, body = 0;
    if (reads && (read_end = end_of_read(sizes, 0, 0)) < 0) return false;
    for (Py_ssize_t count = 0; read_chunk(at, end, &chunk); count++) {
        bool last = chunk.begin == chunk.end;
        /* The reads that end in this chunk, or between the chunk before and its content; behind the last one, all. */
        for (; read < reads && (last || read_end <= chunk.end - data); read++) {
            Py_ssize_t of_chunk = read_end - (chunk.begin - data);
            if (!put(arrived, read, body + (last || of_chunk < 0 ? 0 : of_chunk))) return false;
            if (read + 1 < reads && (read_end = end_of_read(sizes, read + 1, read_end)) < 0) return false;
        }
        if (last) break;
        PyObject *piece = PyBytes_FromStringAndSize(chunk.begin, chunk.end - chunk.begin);
        if (!piece || PyList_SetItem(pieces, count, piece)) return false;
        body += chunk.end - chunk.begin;
        if (!put(ends, count, body)) return false;
        at = chunk.end + 2;
    }
    return true;
}

static PyObject *cut(PyObject *module, PyObject *args) {
    PyObject *bytes, *sizes;
    Py_ssize_t begin, length;
    char *data;
    (void)module;
    if (!PyArg_ParseTuple(args, "SnO", &bytes, &begin, &sizes)) return NULL;
    if (!PyList_Check(sizes)) return PyErr_Format(PyExc_TypeError, "the sizes are a list");
    if (PyBytes_AsStringAndSize(bytes, &data, &length)) return NULL;
    if (begin < 0 || begin > length) return PyErr_Format(PyExc_ValueError, "begin is not in the data");
    Py_ssize_t chunks = count_chunks(data + begin, data + length);
    if (chunks < 1) Py_RETURN_NONE;
    PyObject *pieces = PyList_New(chunks), *ends = PyList_New(chunks), *arrived = PyList_New(PyList_Size(sizes));
    PyObject *result = NULL;
    if (pieces && ends && arrived && fill(data, data + begin, data + length, sizes, pieces, ends, arrived))
        result = PyTuple_Pack(3, pieces, ends, arrived);
    Py_XDECREF(pieces);
    Py_XDECREF(ends);
    Py_XDECREF(arrived);
    return result;
}

static PyMethodDef METHODS[] = {{"cut", cut, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, .m_name = "_chunks", .m_size = 0, .m_methods = METHODS};

PyMODINIT_FUNC PyInit__chunks(void) {
    PyObject *module = PyModule_Create(&MODULE);
    if (module && PyModule_AddIntConstant(module, "VERSION", VERSION)) Py_CLEAR(module);
    return module;
}
