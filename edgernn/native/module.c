/* module.c - the compiled part of edgernn.native: programs, and streams that run them; the
 * frontend and the detector are in files of their own.
 *
 * Compiled once for each set of instructions (setup.py); EDGERNN_VARIANT is the module's
 * name without its underscore.  What comes from Python is checked by edgernn/native, but
 * sizes of memory are looked at here too. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "ernn_target.h"
#include "program.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)

enum { ALIGNMENT = 64 }; /* of a cache line, and of the widest vectors */

/* Streams whose scratch memory is in use at once: more of them reuse weights no better, and
 * fill the nearest cache. */
enum { BLOCK = 64 };

/* `bytes` zeros at a multiple of ALIGNMENT; *owner is what to free. */
static char *aligned(size_t bytes, void **owner)
{
    uintptr_t address;
    *owner = calloc(bytes + ALIGNMENT, 1);
    if (*owner == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    address = ((uintptr_t)*owner + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    return (char *)address;
}

/* ---- Program ------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    call_t *calls;
    Py_ssize_t count;
    Py_ssize_t *row; /* bytes of a stream in each memory: x, states, scores, scratch */
    Py_ssize_t bases;
    void **owned; /* params and constants */
    Py_ssize_t owned_count, owned_room;
} Program;

static char *owned(Program *self, size_t bytes)
{
    char *memory;
    if (self->owned_count == self->owned_room) {
        const Py_ssize_t room = 2 * self->owned_room + 16;
        void **grown = realloc(self->owned, (size_t)room * sizeof *grown);
        if (grown == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        self->owned = grown;
        self->owned_room = room;
    }
    memory = aligned(bytes, &self->owned[self->owned_count]);
    self->owned_count += memory != NULL;
    return memory;
}

/* A copy of an array's values, of `size` bytes each; 0: any. */
static char *copied(Program *self, PyObject *array, size_t size, const char *name)
{
    Py_buffer view;
    char *copy = NULL;
    if (PyObject_GetBuffer(array, &view, PyBUF_ND) < 0) {
        return NULL;
    }
    if (size != 0 && (size_t)view.itemsize != size) {
        PyErr_Format(PyExc_TypeError, "%s has values of %zd bytes; %zu were needed", name,
                     view.itemsize, size);
    } else if ((copy = owned(self, (size_t)view.len)) != NULL) {
        memcpy(copy, view.buf, (size_t)view.len);
    }
    PyBuffer_Release(&view);
    return copy;
}

static int fill_params(Program *self, call_t *call, PyObject *params)
{
    const field_t *field;
    char *memory = owned(self, call->kernel->size);
    if (memory == NULL) {
        return -1;
    }
    call->params = memory;
    for (field = call->kernel->fields; field->name != NULL; field++) {
        PyObject *value = PyDict_GetItemString(params, field->name);
        if (value == NULL) {
            PyErr_Format(PyExc_KeyError, "%s of %s", field->name, call->kernel->name);
            return -1;
        }
        if (field->size != 0) {
            const char *copy = copied(self, value, field->size, field->name);
            if (copy == NULL) {
                return -1;
            }
            memcpy(memory + field->offset, &copy, sizeof copy);
        } else {
            const long number = PyLong_AsLong(value);
            const int32_t narrow = (int32_t)number;
            if (PyErr_Occurred() || narrow != number) {
                PyErr_Format(PyExc_OverflowError, "%s of %s is no 32-bit number", field->name,
                             call->kernel->name);
                return -1;
            }
            memcpy(memory + field->offset, &narrow, sizeof narrow);
        }
    }
    return 0;
}

/* (base, start, row, first), or an array. */
static int fill_operand(Program *self, operand_t *operand, PyObject *value)
{
    if (!PyTuple_Check(value)) {
        operand->constant = copied(self, value, 0, "a constant");
        return operand->constant == NULL ? -1 : 0;
    }
    if (!PyArg_ParseTuple(value, "nnnn", &operand->base, &operand->start, &operand->row,
                          &operand->first)) {
        return -1;
    }
    if (operand->base < 0 || operand->base >= self->bases || operand->start < 0 ||
        operand->first < 0 || operand->first > operand->row ||
        operand->start + operand->row > self->row[operand->base]) {
        PyErr_SetString(PyExc_ValueError, "an operand outside of its memory");
        return -1;
    }
    return 0;
}

/* (kernel, params, operands, counts, at_once) */
static int fill_call(Program *self, call_t *call, PyObject *value)
{
    const char *name;
    PyObject *params, *operands, *counts;
    int i;
    if (!PyArg_ParseTuple(value, "sO!O!O!p", &name, &PyDict_Type, &params, &PyTuple_Type,
                          &operands, &PyTuple_Type, &counts, &call->at_once)) {
        return -1;
    }
    call->kernel = find_kernel(name);
    if (call->kernel == NULL || PyTuple_GET_SIZE(operands) != call->kernel->inputs + 1 ||
        PyTuple_GET_SIZE(counts) != call->kernel->counts) {
        PyErr_Format(PyExc_ValueError, "no such kernel, or called in another way: %s", name);
        return -1;
    }
    call->at_once = call->at_once && call->kernel->grows >= 0;
    for (i = 0; i < call->kernel->counts; i++) {
        call->counts[i] = (int32_t)PyLong_AsLong(PyTuple_GET_ITEM(counts, i));
    }
    for (i = 0; i <= call->kernel->inputs; i++) {
        if (fill_operand(self, &call->operands[i], PyTuple_GET_ITEM(operands, i)) < 0) {
            return -1;
        }
    }
    return PyErr_Occurred() ? -1 : fill_params(self, call, params);
}

static void program_dealloc(Program *self)
{
    Py_ssize_t i;
    for (i = 0; i < self->owned_count; i++) {
        free(self->owned[i]);
    }
    free(self->owned);
    free(self->row);
    free(self->calls);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *program_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"rows", "calls", NULL};
    PyObject *rows, *calls;
    Program *self;
    Py_ssize_t i;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O!", names, &PyTuple_Type, &rows,
                                     &PyTuple_Type, &calls)) {
        return NULL;
    }
    self = (Program *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->bases = PyTuple_GET_SIZE(rows);
    self->count = PyTuple_GET_SIZE(calls);
    self->row = calloc((size_t)self->bases + 1, sizeof *self->row);
    self->calls = calloc((size_t)self->count + 1, sizeof *self->calls);
    if (self->row == NULL || self->calls == NULL) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    for (i = 0; i < self->bases; i++) {
        self->row[i] = PyLong_AsSsize_t(PyTuple_GET_ITEM(rows, i));
    }
    for (i = 0; i < self->count && !PyErr_Occurred(); i++) {
        (void)fill_call(self, &self->calls[i], PyTuple_GET_ITEM(calls, i));
    }
    if (PyErr_Occurred()) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static PyTypeObject ProgramType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edgernn.native.Program",
    .tp_doc = PyDoc_STR("Program(rows, calls)\n--\n\n"
                        "A step as calls of kernels; edgernn.native.runtime makes it.\n\n"
                        "rows: bytes of a stream in each memory. calls: tuples of kernel, params,\n"
                        "operands, counts, and whether all streams can go in one call."),
    .tp_basicsize = sizeof(Program),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = program_new,
    .tp_dealloc = (destructor)program_dealloc};

/* ---- Streams ------------------------------------------------------------------------ */

/* How real features become codes: edgernn.quant.quantize_features. */
typedef struct {
    float inverse, low, high;
    int32_t zero;
} quantizer_t;

typedef struct {
    PyObject_HEAD
    Program *program;
    Py_ssize_t streams;
    int dimensions; /* of features: 1 if there is one stream and no axis for it */
    Py_buffer *outside; /* x, states, scores as codes: arrays that belong to Python */
    Py_ssize_t outside_count;
    Py_buffer scores; /* as reals */
    char **inside;    /* every memory, for a block of streams */
    void **inside_owners;
    char **bases;
    int takes_reals;
    quantizer_t quantizer;
    long tokens; /* numbers below which a token is, or 0 if x holds no tokens */
    double score_scale;
    long score_zero;
} Streams;

static void streams_dealloc(Streams *self)
{
    Py_ssize_t i;
    for (i = 0; i < self->outside_count; i++) {
        PyBuffer_Release(&self->outside[i]);
    }
    if (self->scores.obj != NULL) {
        PyBuffer_Release(&self->scores);
    }
    for (i = 0; self->inside_owners != NULL && i < self->program->bases; i++) {
        free(self->inside_owners[i]);
    }
    free(self->outside);
    free(self->inside);
    free(self->inside_owners);
    free(self->bases);
    Py_XDECREF(self->program);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static int take_array(Py_buffer *view, PyObject *array, Py_ssize_t bytes)
{
    if (PyObject_GetBuffer(array, view, PyBUF_ND | PyBUF_WRITABLE | PyBUF_FORMAT) < 0) {
        return -1;
    }
    if (view->len != bytes) {
        PyErr_Format(PyExc_ValueError, "an array has %zd bytes; %zd were needed", view->len, bytes);
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

static int streams_fill(Streams *self, PyObject *arrays, PyObject *scores)
{
    const Py_ssize_t bases = self->program->bases, count = PyList_GET_SIZE(arrays);
    const Py_ssize_t block = self->streams < BLOCK ? self->streams : BLOCK;
    Py_ssize_t i;
    if (count < 2 || count > bases || self->streams < 1) {
        PyErr_SetString(PyExc_ValueError, "arrays for x, states and scores were needed");
        return -1;
    }
    self->outside = calloc((size_t)count, sizeof *self->outside);
    self->inside = calloc((size_t)bases, sizeof *self->inside);
    self->inside_owners = calloc((size_t)bases, sizeof *self->inside_owners);
    self->bases = calloc((size_t)bases, sizeof *self->bases);
    if (!self->outside || !self->inside || !self->inside_owners || !self->bases) {
        PyErr_NoMemory();
        return -1;
    }
    for (i = 0; i < bases; i++) {
        self->inside[i] = aligned((size_t)(block * self->program->row[i]), &self->inside_owners[i]);
        if (self->inside[i] == NULL) {
            return -1;
        }
    }
    for (i = 0; i < count; i++) {
        if (take_array(&self->outside[i], PyList_GET_ITEM(arrays, i),
                       self->streams * self->program->row[i]) < 0) {
            return -1;
        }
        self->outside_count++;
    }
    return take_array(&self->scores, scores,
                      self->outside[count - 1].len / self->outside[count - 1].itemsize *
                          (Py_ssize_t)sizeof(float));
}

static PyObject *streams_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"program", "streams", "dimensions", "arrays", "scores", "quantizer",
                            "tokens", "score_scale", "score_zero", NULL};
    PyObject *program, *arrays, *scores, *quantizer;
    Streams *self = (Streams *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!niO!OOldl", names, &ProgramType, &program,
                                     &self->streams, &self->dimensions, &PyList_Type, &arrays,
                                     &scores, &quantizer, &self->tokens, &self->score_scale,
                                     &self->score_zero)) {
        Py_DECREF(self);
        return NULL;
    }
    Py_INCREF(program);
    self->program = (Program *)program;
    if (quantizer != Py_None) {
        quantizer_t *q = &self->quantizer;
        self->takes_reals = 1;
        (void)PyArg_ParseTuple(quantizer, "fffi", &q->inverse, &q->low, &q->high, &q->zero);
    }
    if (PyErr_Occurred() || streams_fill(self, arrays, scores) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int all_finite(const float *real, Py_ssize_t n)
{
    uint32_t found = 0;
    Py_ssize_t i;
    for (i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &real[i], sizeof bits);
        found |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    return found == 0;
}

/* The code of one real: its float32 product rounded, ties to even, by a sum that leaves no
 * bits for fractions. */
static inline int32_t quantized(const quantizer_t *q, float real)
{
    const float whole = 12582912.0f; /* 1.5 * 2^23 */
    const float product = real * q->inverse;
    const float inside = product < q->low ? q->low : product > q->high ? q->high : product;
    return (int32_t)((inside + whole) - whole) + q->zero;
}

static void quantize(const quantizer_t *q, const float *real, void *codes, Py_ssize_t size,
                     Py_ssize_t n)
{
    Py_ssize_t i;
    if (size == 1) {
        for (i = 0; i < n; i++) {
            ((int8_t *)codes)[i] = (int8_t)quantized(q, real[i]);
        }
    } else {
        for (i = 0; i < n; i++) {
            ((int16_t *)codes)[i] = (int16_t)quantized(q, real[i]);
        }
    }
}

/* Whether a model of `tokens` numbers knows a row of them; the first must not be padding. */
static int known(const Streams *self, const char *row, Py_ssize_t n, int padding)
{
    const int32_t *ids = (const int32_t *)(const void *)row;
    Py_ssize_t i;
    for (i = 0; i < n; i++) {
        if (ids[i] < 0 || ids[i] >= self->tokens) {
            return 0;
        }
    }
    return padding || ids[0] != 0;
}

/* n reals, or codes, into x. */
static void take_row(const Streams *self, const void *from, void *to, int reals, Py_ssize_t n)
{
    const Py_ssize_t size = self->outside[0].itemsize;
    if (reals) {
        quantize(&self->quantizer, from, to, size, n);
    } else {
        memcpy(to, from, (size_t)(n * size));
    }
}

/* The frames into x, where streams are not held: 1, or 0 if they cannot be taken as they are. */
static int take_frames(Streams *self, const Py_buffer *frames, const char *held)
{
    Py_buffer *x = &self->outside[0];
    const Py_ssize_t row = self->program->row[0], width = row / x->itemsize;
    const int last = self->dimensions - 1;
    int reals;
    Py_ssize_t i;
    if (frames->ndim != self->dimensions || frames->shape[last] != width ||
        (last == 1 && frames->shape[0] != self->streams) || frames->format == NULL) {
        return 0;
    }
    reals = frames->format[0] == 'f' && frames->format[1] == '\0' && self->takes_reals;
    if (!reals && (strcmp(frames->format, x->format) != 0 || frames->itemsize != x->itemsize)) {
        return 0;
    }
    if (held == NULL && self->tokens == 0) { /* all of them are one long row */
        if (reals && !all_finite(frames->buf, self->streams * width)) {
            return 0;
        }
        take_row(self, frames->buf, x->buf, reals, self->streams * width);
        return 1;
    }
    for (i = 0; i < self->streams; i++) { /* all are looked at before any is taken */
        const char *from = (const char *)frames->buf + i * width * frames->itemsize;
        if (held != NULL && held[i]) {
            continue;
        }
        if ((reals && !all_finite((const float *)(const void *)from, width)) ||
            (self->tokens != 0 && !known(self, from, width, 0))) {
            return 0;
        }
    }
    for (i = 0; i < self->streams; i++) {
        const char *from = (const char *)frames->buf + i * width * frames->itemsize;
        if (held == NULL || !held[i]) {
            take_row(self, from, (char *)x->buf + i * row, reals, width);
        }
    }
    return 1;
}

/* Rows of the outside copied to the inside, or back; `base` from first to last. */
static void move_rows(Streams *self, const Py_ssize_t *active, int32_t count, Py_ssize_t first,
                      Py_ssize_t last, int in)
{
    Py_ssize_t base;
    for (base = first; base <= last; base++) {
        const Py_ssize_t row = self->program->row[base];
        int32_t i;
        for (i = 0; i < count; i++) {
            char *inside = self->inside[base] + i * row;
            char *outside = (char *)self->outside[base].buf + active[i] * row;
            memcpy(in ? inside : outside, in ? outside : inside, (size_t)row);
        }
    }
}

/* Step the streams in `active`, at most BLOCK of them. */
static void run_block(Streams *self, const Py_ssize_t *active, int32_t count)
{
    const Py_ssize_t ends = self->outside_count, bases = self->program->bases;
    const int in_a_row = active[count - 1] - active[0] == count - 1;
    Py_ssize_t i;
    for (i = 0; i < bases; i++) {
        self->bases[i] = in_a_row && i < ends ? (char *)self->outside[i].buf +
                                                    active[0] * self->program->row[i]
                                              : self->inside[i];
    }
    if (!in_a_row) {
        move_rows(self, active, count, 0, ends - 2, 1);
    }
    run_calls(self->program->calls, self->program->count, self->bases, count);
    if (!in_a_row) {
        move_rows(self, active, count, 1, ends - 1, 0);
    }
}

/* The scores of `count` streams from the first on as reals. */
static void give_scores(Streams *self, Py_ssize_t first, Py_ssize_t count)
{
    const Py_buffer *codes = &self->outside[self->outside_count - 1];
    const Py_ssize_t width = codes->len / codes->itemsize / self->streams, n = count * width;
    const int8_t *narrow = (const int8_t *)codes->buf + first * width;
    const int16_t *wide = (const int16_t *)codes->buf + first * width;
    float *scores = (float *)self->scores.buf + first * width;
    const double scale = self->score_scale;
    const int32_t zero = (int32_t)self->score_zero;
    Py_ssize_t i;
    if (codes->itemsize == 1) {
        for (i = 0; i < n; i++) {
            scores[i] = (float)((double)(narrow[i] - zero) * scale);
        }
    } else {
        for (i = 0; i < n; i++) {
            scores[i] = (float)((double)(wide[i] - zero) * scale);
        }
    }
}

static void run_streams(Streams *self, const char *held)
{
    Py_ssize_t active[BLOCK];
    Py_ssize_t i;
    int32_t count = 0;
    for (i = 0; i < self->streams; i++) {
        if (held == NULL || !held[i]) {
            active[count++] = i;
        }
        if (count == BLOCK || (count != 0 && i == self->streams - 1)) {
            run_block(self, active, count);
            if (active[count - 1] - active[0] == count - 1) {
                give_scores(self, active[0], count);
                count = 0;
            }
            while (count > 0) {
                give_scores(self, active[--count], 1);
            }
        }
    }
}

static PyObject *streams_step(Streams *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer frames, held = {0};
    int taken = 0;
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "step(frames[, held]) was needed");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &frames, PyBUF_ND | PyBUF_FORMAT) < 0) {
        PyErr_Clear(); /* the caller looks at what it is */
        Py_RETURN_FALSE;
    }
    if (count == 2 && args[1] != Py_None &&
        PyObject_GetBuffer(args[1], &held, PyBUF_SIMPLE) < 0) {
        PyBuffer_Release(&frames);
        return NULL;
    }
    if (held.obj != NULL && held.len != self->streams) {
        PyErr_Format(PyExc_ValueError, "held has %zd bytes; %zd were needed", held.len,
                     self->streams);
    } else if (take_frames(self, &frames, held.buf)) {
        run_streams(self, held.buf);
        taken = 1;
    }
    PyBuffer_Release(&frames);
    if (held.obj != NULL) {
        PyBuffer_Release(&held);
    }
    return PyErr_Occurred() ? NULL : PyBool_FromLong(taken);
}

static PyObject *streams_run(Streams *self, PyObject *ignored)
{
    const Py_buffer *x = &self->outside[0];
    (void)ignored;
    if (self->tokens != 0 && !known(self, x->buf, x->len / x->itemsize, 1)) {
        PyErr_Format(PyExc_ValueError, "a token is not among the %ld that the model knows",
                     self->tokens);
        return NULL;
    }
    run_streams(self, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef streams_methods[] = {
    {"step", (PyCFunction)(void (*)(void))streams_step, METH_FASTCALL,
     PyDoc_STR("step(frames, held=None, /)\n--\n\n"
               "Step every stream that is not held: True; or False, nothing being changed, if\n"
               "frames are not contiguous float32 or codes of the right shape, or one of them is\n"
               "not finite or no known token.")},
    {"run", (PyCFunction)streams_run, METH_NOARGS,
     PyDoc_STR("run()\n--\n\nStep every stream with the codes that are in x.")},
    {NULL, NULL, 0, NULL}};

static PyTypeObject StreamsType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "edgernn.native.Streams",
    .tp_doc = PyDoc_STR(
        "Streams(program, streams, dimensions, arrays, scores, quantizer, tokens, score_scale, "
        "score_zero)\n--\n\n"
        "Streams that a program steps. Their memory is in arrays of the caller's, a row for each:\n"
        "x, the states, and the scores as codes; and the scores as float32."),
    .tp_basicsize = sizeof(Streams),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = streams_new,
    .tp_dealloc = (destructor)streams_dealloc,
    .tp_methods = streams_methods};

/* ---- the module --------------------------------------------------------------------- */

/* Names of the modules with more instructions that this processor has, the best first. */
static PyObject *better(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq")) {
        return Py_BuildValue("(ss)", "_vnni", "_avx2");
    }
    if (__builtin_cpu_supports("avx2")) {
        return Py_BuildValue("(s)", "_avx2");
    }
#elif defined(__aarch64__) && defined(__linux__)
    if ((getauxval(AT_HWCAP) & (1ul << 20)) != 0) { /* HWCAP_ASIMDDP */
        return Py_BuildValue("(s)", "_dotprod");
    }
#elif defined(__aarch64__) && defined(__APPLE__)
    return Py_BuildValue("(s)", "_dotprod"); /* all of them have it */
#endif
    return PyTuple_New(0);
}

static PyMethodDef module_methods[] = {
    {"better", better, METH_NOARGS,
     PyDoc_STR("better()\n--\n\nModules with more instructions that run here, the best first.")},
    {NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT,
                                    .m_name = "edgernn.native._" STRING(EDGERNN_VARIANT),
                                    .m_doc = "Kernels for " ERNN_TARGET ".",
                                    .m_size = -1,
                                    .m_methods = module_methods};

PyMODINIT_FUNC JOINED(PyInit__, EDGERNN_VARIANT)(void)
{
    PyObject *made = PyModule_Create(&module);
    if (made == NULL || PyModule_AddType(made, &ProgramType) < 0 ||
        PyModule_AddType(made, &StreamsType) < 0 || add_frontend(made) < 0 ||
        add_detector(made) < 0 ||
        PyModule_AddStringConstant(made, "TARGET", ERNN_TARGET) < 0 ||
        PyModule_AddStringConstant(
            made, "LAYOUT",
            ERNN_LAYOUT == ERNN_TILES   ? "ERNN_TILES"
            : ERNN_LAYOUT == ERNN_PAIRS ? "ERNN_PAIRS"
                                        : "ERNN_ROWS") < 0 ||
        PyModule_AddIntConstant(made, "X_PLUS", ERNN_X_PLUS) < 0) {
        Py_XDECREF(made);
        return NULL;
    }
    return made;
}
