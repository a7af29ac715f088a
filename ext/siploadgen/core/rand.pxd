# xoshiro256** seeded by splitmix64 (Blackman and Vigna 2018), one state for each engine.
from libc.stdint cimport uint64_t, int64_t

cdef struct Rand:
    uint64_t s[4]
    double spare                # second normal deviate of a pair
    bint has_spare

cdef void rand_seed(Rand* rand, uint64_t seed) noexcept nogil
cdef uint64_t rand_next(Rand* rand) noexcept nogil
cdef double rand_unit(Rand* rand) noexcept nogil            # [0, 1), 53 bits
cdef uint64_t rand_below(Rand* rand, uint64_t n) noexcept nogil   # uniform, unbiased; n > 0
cdef double rand_normal(Rand* rand) noexcept nogil          # mean 0, deviation 1
cdef double rand_exponential(Rand* rand) noexcept nogil     # mean 1
