/* libFuzzer's two functions, for the module named ENTRY. What is fuzzed is compiled Cython, so an
 * interpreter has to load it once; after that no input touches Python. */
#include <Python.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int (*run_one)(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    PyObject *module, *table, *capsule;
    (void)count;
    (void)arguments;
    Py_Initialize();
    module = PyImport_ImportModule(ENTRY);
    table = module ? PyObject_GetAttrString(module, "__pyx_capi__") : NULL;
    capsule = table ? PyDict_GetItemString(table, "slg_fuzz_one") : NULL;
    if (capsule == NULL) {
        PyErr_Print();
        exit(1);
    }
    const char *name = PyCapsule_GetName(capsule);
    run_one = (int (*)(const uint8_t *, size_t))PyCapsule_GetPointer(capsule, name);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    /* libFuzzer's buffer is exact, but for size 0 it may be anywhere. */
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    run_one(size ? copy : copy + 1, size);
    free(copy);
    return 0;
}
