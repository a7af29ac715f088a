"""Random numbers as a function of (seed, workload, stream, number): no state, any order, any chunk.

A counter goes through the finaliser of splitmix64, which turns every bit of it into half of the
bits of the result. A stream is a word that says what the numbers are for, so that the choice of a
call model and that of a row do not go together.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of splitmix64; sums and products wrap at 64 bits."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def stream_key(seed: int, workload: int, stream: str) -> int:
    """64 bits that stand for a stream of one workload of one run."""
    key = seed & _MASK
    for word in (workload + 1, zlib.crc32(stream.encode()) + 1):
        mixed = np.array([(key + word * _GOLDEN) & _MASK], np.uint64)
        key = int(_mix(mixed)[0])
    return key


def bits(key: int, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Draw 64 bits for each number."""
    steps = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(_GOLDEN)
    return _mix(steps + np.uint64(key))


def uniform(key: int, numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Draw from 0 up to 1, 1 left out, for each number: 53 bits.

    >>> uniform(stream_key(1, 0, "mix"), np.arange(3, dtype=np.uint64)).round(3)
    array([0.29 , 0.954, 0.086])
    """
    return (bits(key, numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def below(key: int, numbers: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
    """Draw whole numbers from 0 up to `count` (at most 2**32), `count` left out."""
    return (uniform(key, numbers) * count).astype(np.int64)


def permuted(
    key: int, index: NDArray[np.int64], turn: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Where each index below `count` (at most 2**32) stands in a shuffle of 0 .. count - 1.

    `turn` numbers the shuffles: each is another one. A Feistel network of six rounds over the least
    even number of bits that holds the count; what falls beyond it goes round again.
    """
    half = np.uint64(max(1, ((count - 1).bit_length() + 1) // 2))
    mask = np.uint64((1 << int(half)) - 1)
    keys = bits(key, turn.astype(np.uint64))
    result = index.astype(np.uint64)
    todo = np.arange(len(result))
    while len(todo):
        left, right = result[todo] >> half, result[todo] & mask
        for turn_of in range(6):
            word = right + (np.uint64(turn_of + 1) << np.uint64(40))
            left, right = right, left ^ (_mix(word * np.uint64(_GOLDEN) + keys[todo]) & mask)
        result[todo] = (left << half) | right
        todo = todo[result[todo] >= count]
    return result.astype(np.int64)
