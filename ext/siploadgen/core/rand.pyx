"""Random numbers of one engine: see rand.pxd."""

cimport cython
from libc.math cimport M_PI, cos, log1p, sin, sqrt
from libc.stdint cimport uint64_t

from siploadgen.core.types cimport SLG_ASSERT, slg_rotl64


cdef void rand_seed(Rand* rand, uint64_t seed) noexcept nogil:
    cdef uint64_t z
    cdef int i
    for i in range(4):
        # splitmix64: never yields four zeros in a row, the one state that xoshiro cannot leave
        seed += <uint64_t>0x9E3779B97F4A7C15
        z = (seed ^ (seed >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
        z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
        rand.s[i] = z ^ (z >> 31)
    rand.spare = 0
    rand.has_spare = False


cdef uint64_t rand_next(Rand* rand) noexcept nogil:
    cdef uint64_t result = slg_rotl64(rand.s[1] * 5, 7) * 9
    cdef uint64_t t = rand.s[1] << 17
    rand.s[2] ^= rand.s[0]
    rand.s[3] ^= rand.s[1]
    rand.s[1] ^= rand.s[2]
    rand.s[0] ^= rand.s[3]
    rand.s[2] ^= t
    rand.s[3] = slg_rotl64(rand.s[3], 45)
    return result


cdef double rand_unit(Rand* rand) noexcept nogil:
    return <double>(rand_next(rand) >> 11) * (1.0 / 9007199254740992.0)


cdef uint64_t rand_below(Rand* rand, uint64_t n) noexcept nogil:
    cdef uint64_t surplus, value
    SLG_ASSERT(n > 0)
    # The first 2**64 mod n values are thrown away, so every remainder is left equally often.
    surplus = (<uint64_t>0 - n) % n
    value = rand_next(rand)
    while value < surplus:
        value = rand_next(rand)
    return value % n


cdef double rand_normal(Rand* rand) noexcept nogil:
    """Box and Muller: two deviates from two uniform ones, the second kept for the next call."""
    cdef double radius, angle
    if rand.has_spare:
        rand.has_spare = False
        return rand.spare
    radius = sqrt(-2.0 * log1p(-rand_unit(rand)))
    angle = 2.0 * M_PI * rand_unit(rand)
    rand.spare = radius * sin(angle)
    rand.has_spare = True
    return radius * cos(angle)


cdef double rand_exponential(Rand* rand) noexcept nogil:
    return -log1p(-rand_unit(rand))


@cython.final
cdef class Random:
    """One seeded generator, for tests."""

    cdef Rand rand

    def __cinit__(self, uint64_t seed):
        rand_seed(&self.rand, seed)

    def next(self):
        """64 random bits."""
        return rand_next(&self.rand)

    def unit(self):
        """Uniform in [0, 1)."""
        return rand_unit(&self.rand)

    def below(self, uint64_t n):
        """Uniform in 0 .. n - 1; ValueError for n = 0."""
        if n == 0:
            raise ValueError("nothing is below 0")
        return rand_below(&self.rand, n)

    def normal(self):
        """Draw from the normal distribution of mean 0 and deviation 1."""
        return rand_normal(&self.rand)

    def draws(self, kind, shape, count):
        """`count` deviates of one call whose state is this generator's next word."""
        cdef uint64_t state = rand_next(&self.rand)
        cdef double wanted = shape
        cdef dict ways = {"unit": 0, "normal": 1, "exponential": 2, "gamma": 3, "weibull": 4,
                          "pareto": 5}
        cdef int way = ways[kind]
        found = []
        for _ in range(count):
            if way == 0:
                found.append(draw_unit(&state))
            elif way == 1:
                found.append(draw_normal(&state))
            elif way == 2:
                found.append(draw_exponential(&state))
            elif way == 3:
                found.append(draw_gamma(&state, wanted))
            elif way == 4:
                found.append(draw_weibull(&state, wanted))
            else:
                found.append(draw_pareto(&state, wanted))
        return found

    def exponential(self):
        """Draw from the exponential distribution of mean 1."""
        return rand_exponential(&self.rand)
