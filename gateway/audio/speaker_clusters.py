"""Which embeddings are of one voice: average-link clustering, in memory that does not grow with the square.

The average link of two groups of unit vectors is one minus the product of their sums over the product of
their sizes, so groups are kept as sums.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DISTANCE = 0.72
"""Groups whose voices are on average less than so much apart, as 1 - cosine, are one person's. Measured with
windows of 1.5 s: the same voice 0.45, others 0.93, each +- 0.1."""

NARROW_DISTANCE = 0.50
"""The same of a telephone's band, where all voices are more alike: 0.33 and 0.64."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Up to which two groups of voices are one person's."""

    wide: float = DISTANCE
    narrow: float = NARROW_DISTANCE


BLOCK = 800
"""Embeddings that are clustered at once, each with each: about ten minutes of speech."""

TIGHT = 0.45
"""Groups so close are one person's, whatever number of people is asked for."""

LEAST = 2
"""Windows that make a person: of one alone, two people may have spoken in it."""

MANY, LEAST_OF_MANY = 40, 3
"""Among so many, half a minute of speech, two may be a coincidence, too."""


def cluster(
    embeddings: NDArray[np.float32],
    distance: float,
    *,
    count: int | None = None,
    most: int | None = None,
    least: int = LEAST,
) -> NDArray[np.int64]:
    """The group of each embedding, shape (n,) of (n, 192), n at least 1; groups are numbered from 0.

    Args:
        count: So many groups, if there are enough embeddings.
        most: At most so many.
        least: Smaller groups join the nearest, if there is a larger one.
    """
    within = distance if count is None else min(distance, TIGHT)
    blocks = [embeddings[at : at + BLOCK] for at in range(0, len(embeddings), BLOCK)]
    sums: list[NDArray[np.float32]] = []
    sizes: list[int] = []
    for block in blocks:
        labels = _average_link(block, within)
        sizes += np.bincount(labels).tolist()
        sums += [block[labels == label].sum(axis=0) for label in range(labels.max() + 1)]
    kept = [at for at, size in enumerate(sizes) if size >= least] or [int(np.argmax(sizes))]
    limit = 2.0 if count is not None else distance
    merged = _merge([sums[at] for at in kept], [sizes[at] for at in kept], limit, count or 1)
    if most is not None:
        merged = _merge(*merged, 2.0, most)
    centres = np.stack([unit(total) for total in merged[0]])
    return np.asarray((embeddings @ centres.T).argmax(axis=1))


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The vector, of length 1."""
    length = np.linalg.norm(vector)
    return vector / (length or 1.0)


def _average_link(embeddings: NDArray[np.float32], distance: float) -> NDArray[np.int64]:
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415 - 40 MB, only where people are told apart
    from scipy.spatial.distance import squareform  # noqa: PLC0415

    if len(embeddings) == 1:
        return np.zeros(1, dtype=np.int64)
    apart = np.clip(1 - embeddings @ embeddings.T, 0, 2)
    np.fill_diagonal(apart, 0)
    links = linkage(squareform(apart, checks=False), "average")
    return np.asarray(fcluster(links, distance, "distance"), dtype=np.int64) - 1


def _merge(
    sums: Sequence[NDArray[np.float32]], sizes: Sequence[int], distance: float, least: int
) -> tuple[list[NDArray[np.float32]], list[int]]:
    """Joins the closest groups until all are further apart than ``distance``, or ``least`` are left."""
    sums, sizes = list(sums), list(sizes)
    while len(sums) > least:
        together = np.stack(sums)
        apart = 1 - together @ together.T / np.outer(sizes, sizes)
        np.fill_diagonal(apart, np.inf)
        one, other = sorted(divmod(int(apart.argmin()), len(sums)))
        if apart[one, other] > distance:
            break
        sums[one] = sums[one] + sums.pop(other)
        sizes[one] += sizes.pop(other)
    return sums, sizes
