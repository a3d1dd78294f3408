/* frontend.c - log-mel frontends of one spec, one for each stream: firmware_export/c's. */
#include "arrays.h"

#include <stdint.h>
#include <stdlib.h>

#include "ernn_logmel.h"

enum { TABLES = 5 };

typedef struct {
    PyObject_HEAD
    ernn_logmel_t p;
    Py_buffer tables[TABLES]; /* window, quarter, cosines, rise, bins */
    Py_ssize_t streams;
    int32_t *filled_begun;
    int16_t *samples;
    int32_t *work; /* has no meaning between calls: one for all streams */
} LogMel;

static ernn_logmel_memory_t memory_of(const LogMel *self, Py_ssize_t stream)
{
    ernn_logmel_memory_t memory;
    memory.filled_begun = &self->filled_begun[2 * stream];
    memory.samples = &self->samples[stream * self->p.length];
    memory.work = self->work;
    return memory;
}

static void logmel_dealloc(LogMel *self)
{
    int i;
    for (i = 0; i < TABLES; i++) {
        give_back(&self->tables[i]);
    }
    free(self->filled_begun);
    free(self->samples);
    free(self->work);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Bins that the filters hear. */
static Py_ssize_t heard(const LogMel *self)
{
    Py_ssize_t sum = 0;
    int32_t m;
    for (m = 0; m <= self->p.mels; m++) {
        sum += self->p.bins[m];
    }
    return sum;
}

/* Values in `cosines`: of M = 8, 16 .. N / 16, M / 8 times M / 4. */
static Py_ssize_t cosine_count(int32_t points)
{
    Py_ssize_t sum = 0, m;
    for (m = 8; m <= points / 16; m *= 2) {
        sum += m * m / 32;
    }
    return sum;
}

static int take_tables(LogMel *self, PyObject *const *arrays)
{
    ernn_logmel_t *p = &self->p;
    const char *const names[TABLES] = {"window", "quarter", "cosines", "rise", "bins"};
    Py_ssize_t sizes[TABLES];
    int i;
    if (p->points < 128 || p->points > 4096 || (p->points & (p->points - 1)) != 0 ||
        p->length < 1 || p->length > p->points || p->hop < 1 || p->hop > p->length ||
        p->mels < 1 || p->greater >= p->length || p->first_bin < 0 || self->streams < 1) {
        PyErr_SetString(PyExc_ValueError, "numbers of a log-mel frontend that make no sense");
        return -1;
    }
    sizes[0] = p->length / 2 + 1;
    sizes[1] = p->points / 4 + 1;
    sizes[2] = cosine_count(p->points);
    sizes[3] = -1;
    sizes[4] = (Py_ssize_t)p->mels + 1;
    for (i = 0; i < TABLES; i++) {
        if (take_values(&self->tables[i], arrays[i], i < 3 ? 'h' : 'H', 0, 1, &sizes[i],
                        names[i]) < 0) {
            return -1;
        }
    }
    p->window = self->tables[0].buf;
    p->quarter = self->tables[1].buf;
    p->cosines = self->tables[2].buf;
    p->rise = self->tables[3].buf;
    p->bins = self->tables[4].buf;
    if (heard(self) != self->tables[3].shape[0] ||
        p->first_bin + self->tables[3].shape[0] > p->points / 2) {
        PyErr_SetString(PyExc_ValueError, "mel filters that leave the transform");
        return -1;
    }
    return 0;
}

static PyObject *logmel_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"streams", "length", "greater", "hop", "points", "mels", "first_bin",
                            "offset", "window", "quarter", "cosines", "rise", "bins", NULL};
    PyObject *arrays[TABLES];
    size_t streams;
    LogMel *self = (LogMel *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (!PyArg_ParseTupleAndKeywords(
            args, kwargs, "niiiiiiiOOOOO", names, &self->streams, &self->p.length,
            &self->p.greater, &self->p.hop, &self->p.points, &self->p.mels, &self->p.first_bin,
            &self->p.offset, &arrays[0], &arrays[1], &arrays[2], &arrays[3], &arrays[4]) ||
        take_tables(self, arrays) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    streams = (size_t)self->streams;
    self->filled_begun = calloc(streams, 2 * sizeof(int32_t));
    self->samples = calloc(streams, (size_t)self->p.length * sizeof(int16_t));
    self->work = calloc((size_t)ERNN_LOGMEL_WORK(self->p.points), sizeof(int32_t));
    if (self->filled_begun == NULL || self->samples == NULL || self->work == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

/* Rows that n more samples complete. */
static Py_ssize_t rows_of(const LogMel *self, Py_ssize_t stream, Py_ssize_t n)
{
    const Py_ssize_t past = self->filled_begun[2 * stream] + n - self->p.length;
    return past < 0 ? 0 : past / self->p.hop + 1;
}

/* Hear n samples of a stream; `rows` has room for what they complete. */
static int32_t hear(LogMel *self, Py_ssize_t stream, const int16_t *samples, Py_ssize_t n,
                    int16_t *rows)
{
    int32_t count = 0;
    while (n > 0) {
        int ready;
        const size_t taken = ernn_logmel_push(&self->p, memory_of(self, stream), samples, (size_t)n,
                                              &rows[count * self->p.mels], &ready);
        samples += taken;
        n -= (Py_ssize_t)taken;
        count += ready;
    }
    return count;
}

static int no_stream(const LogMel *self, Py_ssize_t stream)
{
    if (stream < 0 || stream >= self->streams) {
        PyErr_Format(PyExc_IndexError, "stream %zd of %zd", stream, self->streams);
        return 1;
    }
    return 0;
}

static PyObject *logmel_push(LogMel *self, PyObject *const *args, Py_ssize_t count)
{
    const Py_ssize_t any = -1, shape[2] = {-1, self->p.mels};
    Py_buffer samples = {0}, rows = {0};
    Py_ssize_t stream;
    PyObject *result = NULL;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "push(samples, rows, stream) was needed");
        return NULL;
    }
    stream = PyLong_AsSsize_t(args[2]);
    if ((stream == -1 && PyErr_Occurred()) || no_stream(self, stream)) {
        return NULL;
    }
    if (take_values(&samples, args[0], 'h', 0, 1, &any, "samples") == 0 &&
        take_values(&rows, args[1], 'h', 1, 2, shape, "rows") == 0) {
        if (rows.shape[0] < rows_of(self, stream, samples.shape[0])) {
            PyErr_SetString(PyExc_ValueError, "no room for all rows");
        } else {
            result = PyLong_FromLong(hear(self, stream, samples.buf, samples.shape[0], rows.buf));
        }
    }
    give_back(&samples);
    give_back(&rows);
    return result;
}

/* A hop or any other number of samples of each stream. */
static void hear_all(LogMel *self, const Py_buffer *samples, const Py_buffer *rows,
                     const Py_buffer *counts, const char *held)
{
    const Py_ssize_t n = samples->shape[1], room = rows->shape[1] * self->p.mels;
    Py_ssize_t i;
    for (i = 0; i < self->streams; i++) {
        ((int32_t *)counts->buf)[i] =
            held != NULL && held[i] ? 0
                                    : hear(self, i, (const int16_t *)samples->buf + i * n, n,
                                           (int16_t *)rows->buf + i * room);
    }
}

static PyObject *logmel_push_all(LogMel *self, PyObject *const *args, Py_ssize_t count)
{
    const Py_ssize_t streams = self->streams;
    const Py_ssize_t two[2] = {streams, -1}, three[3] = {streams, -1, self->p.mels};
    Py_buffer samples = {0}, rows = {0}, counts = {0}, held = {0};
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "push_all(samples, rows, counts, held) was needed");
        return NULL;
    }
    if (take_values(&samples, args[0], 'h', 0, 2, two, "samples") == 0 &&
        take_values(&rows, args[1], 'h', 1, 3, three, "rows") == 0 &&
        take_values(&counts, args[2], 'i', 1, 1, two, "counts") == 0 &&
        (args[3] == Py_None || take_values(&held, args[3], '?', 0, 1, two, "held") == 0)) {
        /* A row too many can only be where the window was full but for one sample. */
        if (rows.shape[1] < samples.shape[1] / self->p.hop + 1) {
            PyErr_SetString(PyExc_ValueError, "no room for all rows");
        } else {
            hear_all(self, &samples, &rows, &counts, held.buf);
        }
    }
    give_back(&samples);
    give_back(&rows);
    give_back(&counts);
    give_back(&held);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *logmel_flush(LogMel *self, PyObject *args)
{
    const Py_ssize_t shape[2] = {1, self->p.mels};
    Py_buffer rows = {0};
    PyObject *array;
    Py_ssize_t stream;
    int count;
    if (!PyArg_ParseTuple(args, "On", &array, &stream) || no_stream(self, stream) ||
        take_values(&rows, array, 'h', 1, 2, shape, "rows") < 0) {
        return NULL;
    }
    count = ernn_logmel_flush(&self->p, memory_of(self, stream), rows.buf);
    give_back(&rows);
    return PyLong_FromLong(count);
}

static PyObject *logmel_reset(LogMel *self, PyObject *argument)
{
    const Py_ssize_t stream = PyLong_AsSsize_t(argument);
    if ((stream == -1 && PyErr_Occurred()) || no_stream(self, stream)) {
        return NULL;
    }
    ernn_logmel_reset(memory_of(self, stream));
    Py_RETURN_NONE;
}

static PyMethodDef logmel_methods[] = {
    {"push", (PyCFunction)(void (*)(void))logmel_push, METH_FASTCALL,
     PyDoc_STR("push(samples, rows, stream, /)\n--\n\n"
               "Hear int16 samples of a stream; fill rows, int16 (n // hop + 1, mels) or more, from\n"
               "the first on, and give how many.")},
    {"push_all", (PyCFunction)(void (*)(void))logmel_push_all, METH_FASTCALL,
     PyDoc_STR("push_all(samples, rows, counts, held, /)\n--\n\n"
               "Hear int16 samples (streams, n): int16 rows (streams, n // hop + 1, mels), of which\n"
               "int32 counts (streams) are filled; held, bool (streams) or None, are left out.")},
    {"flush", (PyCFunction)logmel_flush, METH_VARARGS,
     PyDoc_STR("flush(row, stream, /)\n--\n\nThe row of a clip shorter than a window: 1, or 0.")},
    {"reset", (PyCFunction)logmel_reset, METH_O,
     PyDoc_STR("reset(stream, /)\n--\n\nForget a stream's samples.")},
    {NULL, NULL, 0, NULL}};

static PyTypeObject LogMelType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edgernn.native.LogMel",
    .tp_doc = PyDoc_STR("LogMel(streams, **constants)\n--\n\n"
                        "Log-mel frontends; constants are the fields of ernn_logmel_t, as\n"
                        "edgernn.frontend.compact makes them."),
    .tp_basicsize = sizeof(LogMel),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = logmel_new,
    .tp_dealloc = (destructor)logmel_dealloc,
    .tp_methods = logmel_methods};

int add_frontend(PyObject *module)
{
    return PyModule_AddType(module, &LogMelType);
}
