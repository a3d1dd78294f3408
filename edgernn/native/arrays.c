/* arrays.c - see arrays.h. */
#include "arrays.h"

/* Where a long has 32 bits, numpy's int32 is one. */
static int is_format(const char *found, char format)
{
    const int same = found[0] == format ||
                     (format == 'i' && found[0] == 'l' && sizeof(long) == sizeof(int));
    return same && found[1] == '\0';
}

static int fits(const Py_buffer *view, char format, int dimensions, const Py_ssize_t *sizes)
{
    int i;
    if (view->format == NULL || !is_format(view->format, format) || view->ndim != dimensions) {
        return 0;
    }
    for (i = 0; i < dimensions; i++) {
        if (sizes[i] >= 0 && view->shape[i] != sizes[i]) {
            return 0;
        }
    }
    return 1;
}

int take_values(Py_buffer *view, PyObject *array, char format, int writable, int dimensions,
                const Py_ssize_t *sizes, const char *name)
{
    const int flags = PyBUF_ND | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(array, view, flags) < 0) {
        return -1;
    }
    if (!fits(view, format, dimensions, sizes)) {
        PyErr_Format(PyExc_ValueError,
                     "%s: format '%c' in %d dimensions of the right sizes was needed", name, format,
                     dimensions);
        PyBuffer_Release(view);
        return -1;
    }
    return 0;
}

void give_back(Py_buffer *view)
{
    if (view->obj != NULL) {
        PyBuffer_Release(view);
    }
}
