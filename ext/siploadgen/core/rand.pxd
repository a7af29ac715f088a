# xoshiro256** seeded by splitmix64 (Blackman and Vigna 2018), one state for each engine; and for
# each call a state of its own, so that what a call draws is a function of its seed alone.
from libc.math cimport M_PI, cos, exp, log1p, pow, sqrt
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

# --- draws of one call: splitmix64, 8 bytes of state ---

cdef inline uint64_t draw_next(uint64_t* state) noexcept nogil:
    """64 random bits."""
    cdef uint64_t z
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    z = state[0]
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    return z ^ (z >> 31)

cdef inline uint64_t draw_seed(uint64_t seed, uint64_t stream, uint64_t number) noexcept nogil:
    """State of call `number` of a stream."""
    cdef uint64_t state = seed
    state = draw_next(&state) ^ stream
    state = draw_next(&state) ^ number
    return draw_next(&state)

cdef inline double draw_unit(uint64_t* state) noexcept nogil:
    """[0, 1), 53 bits."""
    return <double>(draw_next(state) >> 11) * (1.0 / 9007199254740992.0)

cdef inline double draw_exponential(uint64_t* state) noexcept nogil:
    """Mean 1."""
    return -log1p(-draw_unit(state))

cdef inline double draw_normal(uint64_t* state) noexcept nogil:
    """Mean 0, deviation 1 (Box and Muller, one of the pair)."""
    cdef double radius = sqrt(2.0 * draw_exponential(state))
    return radius * cos(2.0 * M_PI * draw_unit(state))

cdef inline double draw_gamma(uint64_t* state, double shape) noexcept nogil:
    """Scale 1 (Marsaglia and Tsang 2000); a shape below 1 is raised by one and taken back."""
    cdef double raised = shape if shape >= 1.0 else shape + 1.0
    cdef double d = raised - 1.0 / 3.0
    cdef double c = 1.0 / sqrt(9.0 * d)
    cdef double x, v
    while True:
        x = draw_normal(state)
        v = 1.0 + c * x
        if v <= 0.0:
            continue
        v = v * v * v
        if -draw_exponential(state) < 0.5 * x * x + d - d * v + d * log_of(v):
            break
    if shape < 1.0:
        v *= pow(1.0 - draw_unit(state), 1.0 / shape)
    return d * v

cdef inline double log_of(double value) noexcept nogil:
    return log1p(value - 1.0)

cdef inline double draw_weibull(uint64_t* state, double shape) noexcept nogil:
    """Scale 1."""
    return pow(draw_exponential(state), 1.0 / shape)

cdef inline double draw_pareto(uint64_t* state, double shape) noexcept nogil:
    """Smallest value 1."""
    return exp(draw_exponential(state) / shape)

cdef inline uint64_t draw_below(uint64_t* state, uint64_t n) noexcept nogil:
    """0 .. n - 1, n below 2**32: uneven by less than 2**-32."""
    return ((draw_next(state) >> 32) * n) >> 32
