/* detector.c - detectors of one model, one for each stream: firmware_export/c's. */
#include "arrays.h"

#include <stdint.h>
#include <stdlib.h>

#include "ernn_detect.h"

enum { TABLES = 5, LARGEST = 32767 };

typedef struct {
    PyObject_HEAD
    ernn_detect_t p;
    Py_buffer tables[TABLES]; /* label, n, pause, fire, rearm */
    Py_ssize_t streams;
    int32_t labels;
    int32_t *at_wait, *sum;
    int16_t *window, *parts;
    uint8_t *armed;
} Detector;

static ernn_detect_memory_t memory_of(const Detector *self, Py_ssize_t stream)
{
    ernn_detect_memory_t memory;
    memory.at_wait = &self->at_wait[2 * stream];
    memory.sum = &self->sum[stream * self->p.watched];
    memory.window = &self->window[stream * self->p.watched * self->p.rows];
    memory.armed = &self->armed[stream * self->p.watched];
    return memory;
}

static void detector_dealloc(Detector *self)
{
    int i;
    for (i = 0; i < TABLES; i++) {
        give_back(&self->tables[i]);
    }
    free(self->at_wait);
    free(self->sum);
    free(self->window);
    free(self->parts);
    free(self->armed);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int take_tables(Detector *self, PyObject *const *arrays)
{
    const char *const names[TABLES] = {"label", "n", "pause", "fire", "rearm"};
    const Py_ssize_t watched = self->p.watched;
    int i;
    if (watched < 0 || self->p.rows < 1 || self->labels < watched || self->streams < 1 ||
        watched * (Py_ssize_t)self->p.rows > INT32_MAX || self->p.rows > INT32_MAX / 32768) {
        PyErr_SetString(PyExc_ValueError, "numbers of a detector that make no sense");
        return -1;
    }
    for (i = 0; i < TABLES; i++) {
        if (take_values(&self->tables[i], arrays[i], 'i', 0, 1, &watched, names[i]) < 0) {
            return -1;
        }
    }
    self->p.label = self->tables[0].buf;
    self->p.n = self->tables[1].buf;
    self->p.pause = self->tables[2].buf;
    self->p.fire = self->tables[3].buf;
    self->p.rearm = self->tables[4].buf;
    for (i = 0; i < watched; i++) {
        if (self->p.label[i] < 0 || self->p.label[i] >= self->labels) {
            PyErr_SetString(PyExc_ValueError, "a watched label that is none");
            return -1;
        }
        if (self->p.n[i] < 1 || self->p.n[i] > self->p.rows || self->p.pause[i] < 0) {
            PyErr_SetString(PyExc_ValueError, "steps of a label that make no sense");
            return -1;
        }
    }
    return 0;
}

static PyObject *detector_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"streams", "labels", "watched", "rows", "label", "n", "pause",
                            "fire", "rearm", NULL};
    PyObject *arrays[TABLES];
    size_t room;
    Py_ssize_t i;
    Detector *self = (Detector *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "niiiOOOOO", names, &self->streams,
                                     &self->labels, &self->p.watched, &self->p.rows, &arrays[0],
                                     &arrays[1], &arrays[2], &arrays[3], &arrays[4]) ||
        take_tables(self, arrays) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    room = (size_t)self->streams * (size_t)(self->p.watched + 1); /* never nothing */
    self->at_wait = calloc((size_t)self->streams, 2 * sizeof(int32_t));
    self->sum = calloc(room, sizeof(int32_t));
    self->window = calloc(room * (size_t)self->p.rows, sizeof(int16_t));
    self->parts = calloc((size_t)self->labels + 1, sizeof(int16_t));
    self->armed = calloc(room, 1);
    if (!self->at_wait || !self->sum || !self->window || !self->parts || !self->armed) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (i = 0; i < self->streams; i++) {
        ernn_detect_reset(&self->p, memory_of(self, i));
    }
    return (PyObject *)self;
}

/* A score, 1.0 being 32768, rounded with ties to even: as edgernn/detect.py has it. */
static int16_t part_of(float score)
{
    const float whole = 12582912.0f; /* 1.5 * 2^23: a sum with it has no bits for fractions */
    const float x = score * 32768.0f;
    const float inside = !(x > -32768.0f) ? -32768.0f : x > LARGEST ? (float)LARGEST : x;
    return (int16_t)((inside + whole) - whole);
}

static int32_t take_scores(Detector *self, Py_ssize_t stream, const float *scores)
{
    int32_t i;
    for (i = 0; i < self->labels; i++) {
        self->parts[i] = part_of(scores[i]);
    }
    return ernn_detect_push(&self->p, memory_of(self, stream), self->parts);
}

static int no_stream(const Detector *self, Py_ssize_t stream)
{
    if (stream < 0 || stream >= self->streams) {
        PyErr_Format(PyExc_IndexError, "stream %zd of %zd", stream, self->streams);
        return 1;
    }
    return 0;
}

static PyObject *detector_push(Detector *self, PyObject *const *args, Py_ssize_t count)
{
    const Py_ssize_t labels = self->labels;
    Py_buffer scores;
    Py_ssize_t stream;
    int32_t fired;
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "push(scores, stream) was needed");
        return NULL;
    }
    stream = PyLong_AsSsize_t(args[1]);
    if ((stream == -1 && PyErr_Occurred()) || no_stream(self, stream) ||
        take_values(&scores, args[0], 'f', 0, 1, &labels, "scores") < 0) {
        return NULL;
    }
    fired = take_scores(self, stream, scores.buf);
    give_back(&scores);
    return PyLong_FromLong(fired);
}

static PyObject *detector_push_all(Detector *self, PyObject *const *args, Py_ssize_t count)
{
    const Py_ssize_t two[2] = {self->streams, self->labels};
    Py_buffer scores = {0}, places = {0}, held = {0};
    Py_ssize_t i;
    long fired = 0;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "push_all(scores, places, held) was needed");
        return NULL;
    }
    if (take_values(&scores, args[0], 'f', 0, 2, two, "scores") == 0 &&
        take_values(&places, args[1], 'i', 1, 1, two, "places") == 0 &&
        (args[2] == Py_None || take_values(&held, args[2], '?', 0, 1, two, "held") == 0)) {
        for (i = 0; i < self->streams; i++) {
            int32_t *place = &((int32_t *)places.buf)[i];
            *place = held.buf != NULL && ((const char *)held.buf)[i]
                         ? -1
                         : take_scores(self, i, (const float *)scores.buf + i * self->labels);
            fired += *place >= 0;
        }
    }
    give_back(&scores);
    give_back(&places);
    give_back(&held);
    return PyErr_Occurred() ? NULL : PyLong_FromLong(fired);
}

static PyObject *detector_sum(Detector *self, PyObject *args)
{
    Py_ssize_t stream;
    int place;
    if (!PyArg_ParseTuple(args, "in", &place, &stream) || no_stream(self, stream)) {
        return NULL;
    }
    if (place < 0 || place >= self->p.watched) {
        PyErr_Format(PyExc_IndexError, "label %d of %d", place, self->p.watched);
        return NULL;
    }
    return PyLong_FromLong(memory_of(self, stream).sum[place]);
}

static PyObject *detector_reset(Detector *self, PyObject *argument)
{
    const Py_ssize_t stream = PyLong_AsSsize_t(argument);
    if ((stream == -1 && PyErr_Occurred()) || no_stream(self, stream)) {
        return NULL;
    }
    ernn_detect_reset(&self->p, memory_of(self, stream));
    Py_RETURN_NONE;
}

static PyMethodDef detector_methods[] = {
    {"push", (PyCFunction)(void (*)(void))detector_push, METH_FASTCALL,
     PyDoc_STR("push(scores, stream, /)\n--\n\n"
               "Take float32 scores (labels): the place among the watched labels of the one that\n"
               "fired, or -1.")},
    {"push_all", (PyCFunction)(void (*)(void))detector_push_all, METH_FASTCALL,
     PyDoc_STR("push_all(scores, places, held, /)\n--\n\n"
               "The same of float32 scores (streams, labels), into int32 places (streams); held, bool\n"
               "(streams) or None, are left out: -1. Gives how many fired.")},
    {"sum", (PyCFunction)detector_sum, METH_VARARGS,
     PyDoc_STR("sum(place, stream, /)\n--\n\nSmoothed score of a watched label, times its n * 32768.")},
    {"reset", (PyCFunction)detector_reset, METH_O,
     PyDoc_STR("reset(stream, /)\n--\n\nForget a stream's scores.")},
    {NULL, NULL, 0, NULL}};

static PyTypeObject DetectorType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edgernn.native.Detector",
    .tp_doc = PyDoc_STR("Detector(streams, labels, watched, rows, label, n, pause, fire, rearm)\n--\n\n"
                        "Detectors; the constants are those of edgernn.detect, the arrays int32."),
    .tp_basicsize = sizeof(Detector),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = detector_new,
    .tp_dealloc = (destructor)detector_dealloc,
    .tp_methods = detector_methods};

int add_detector(PyObject *module)
{
    return PyModule_AddType(module, &DetectorType);
}
