"""Which call model a call plays, of several with weights: drawn for each call by its number."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from siploadgen.errors import UsageError
from siploadgen.load.draw import stream_key, uniform

MAX_MODELS = 65_535


def choose(
    weights: Sequence[float], seed: int, workload: int, numbers: NDArray[np.uint64]
) -> NDArray[np.uint16]:
    """Index of a weight for each call, by its number within the workload.

    A function of its arguments alone: chunks and workers make no difference. Weights need not add
    up to 1. Raises UsageError for weights that cannot be chosen from.

    >>> choose([1.0], 1, 0, np.arange(3, dtype=np.uint64))
    array([0, 0, 0], dtype=uint16)
    """
    check_weights(weights)
    if len(weights) == 1:
        return np.zeros(len(numbers), np.uint16)
    edges = np.cumsum(np.asarray(weights, np.float64))
    drawn = uniform(stream_key(seed, workload, "mix"), numbers) * edges[-1]
    # The last model with a weight takes what rounding may leave at the upper edge.
    last = max(i for i, weight in enumerate(weights) if weight > 0)
    index = np.searchsorted(edges, drawn, side="right")
    result: NDArray[np.uint16] = np.minimum(index, last).astype(np.uint16)
    return result


def check_weights(weights: Sequence[float]) -> None:
    """Raise UsageError for weights that cannot be chosen from."""
    if not 1 <= len(weights) <= MAX_MODELS:
        raise UsageError(f"weight: from 1 to {MAX_MODELS} call models can be mixed, not "
                         f"{len(weights)}")
    for weight in weights:
        if not 0 <= weight < math.inf:
            raise UsageError(f"weight: {weight:g} is none; write 0 or more, such as 70 and 30")
    if sum(weights) == 0:
        raise UsageError("weight: all are 0; give at least one call model more than 0")
