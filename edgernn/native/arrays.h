/* arrays.h - arrays that come from Python. */
#ifndef EDGERNN_ARRAYS_H
#define EDGERNN_ARRAYS_H
#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* The values of an array, contiguous: format as in Python's struct module, `dimensions` of it;
 * sizes of -1 are any.  0, or -1 with a Python error. */
int take_values(Py_buffer *view, PyObject *array, char format, int writable, int dimensions,
                const Py_ssize_t *sizes, const char *name);

/* Give back a view that was taken, or never was. */
void give_back(Py_buffer *view);

/* Add the types of frontend.c and detector.c to the module: 0, or -1. */
int add_frontend(PyObject *module);
int add_detector(PyObject *module);

#endif
