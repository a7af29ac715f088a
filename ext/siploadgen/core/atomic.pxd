# The words that two threads share: one of them stores with release, the other loads with acquire.
from libc.stdint cimport uint64_t

cdef extern from "slg_atomic.h" nogil:
    uint64_t slg_load_acquire(const uint64_t* word)
    void slg_store_release(uint64_t* word, uint64_t value)
    # Of what is overwritten while it is read: the writer stores a word, then the release fence,
    # then writes; the reader reads, then the acquire fence, then loads the word.
    void slg_fence_release()
    void slg_fence_acquire()
