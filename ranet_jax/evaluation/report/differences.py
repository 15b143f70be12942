"""How much networks differ on the same videos, and how sure that is with so few videos and seeds.

Runs of one name and the same settings are one network trained again, with other seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ranet_jax.evaluation.report.run import Run
from ranet_jax.evaluation.report.tables import Row, Table

DRAWS = 10_000
COVERAGE = 95  # percent of the draws that an interval holds

# J&F in percent of every seed on every video.
Scores = Float[np.ndarray, "seeds videos"]


@dataclass(frozen=True)
class Difference:
    """A network against the one it is compared with, in points of J&F.

    Attributes:
        label: of the network.
        seeds: runs of it.
        mean: its J&F over videos and seeds.
        points: its mean less that of the other.
        low: of the interval around `points`.
        high: of the interval.
    """

    label: str
    seeds: int
    mean: float
    points: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Networks that were evaluated on the same videos.

    Attributes:
        reference: the network that the others are compared with: the first that was named.
        seeds: runs of it.
        mean: its J&F over videos and seeds.
        videos: how many there are.
        split: dataset and split.
        differences: of the others, in the order in which they were named.
    """

    reference: str
    seeds: int
    mean: float
    videos: int
    split: str
    differences: tuple[Difference, ...]

    @property
    def caption(self) -> str:
        """What is compared, and on what."""
        return f"Differences from {self.reference}: {self.videos} videos of {self.split}"

    def table(self) -> Table:
        """As rows below the reference's."""
        rows = [Row(self.reference, (str(self.seeds), self.mean, "", ""), ours=True)]
        for found in self.differences:
            interval = f"{found.low:+.1f} to {found.high:+.1f}"
            cells = (str(found.seeds), found.mean, f"{found.points:+.1f}", interval)
            rows.append(Row(found.label, cells, ours=True))
        note = (
            f"An interval holds {COVERAGE} % of {DRAWS:,} draws, with replacement, of the videos "
            "and of the seeds of both networks. With few videos or seeds it is too narrow; with "
            "one seed it says nothing about the chance in training."
        )
        columns = ("Seeds", "J&F Mean", "Difference", "Interval")
        return Table(None, self.caption, columns, rows, (note,))


def compare(runs: Sequence[Run]) -> list[Comparison]:
    """A comparison for every set of videos on which two networks or more were evaluated."""
    return [_compare(networks) for networks in _by_videos(runs) if len(networks) > 1]


def _compare(networks: Sequence[Sequence[Run]]) -> Comparison:
    first = networks[0][0]
    videos = sorted(first.scores)
    base = _scores(networks[0], videos)
    return Comparison(
        reference=first.network_label,
        seeds=len(base),
        mean=float(base.mean()),
        videos=len(videos),
        split=f"{first.dataset} {first.split}",
        differences=tuple(_difference(other, videos, base) for other in networks[1:]),
    )


def _difference(runs: Sequence[Run], videos: Sequence[str], base: Scores) -> Difference:
    scores = _scores(runs, videos)
    low, high = interval(scores, base)
    mean = float(scores.mean())
    points = mean - float(base.mean())
    return Difference(runs[0].network_label, len(scores), mean, points, low, high)


def interval(scores: Scores, base: Scores, *, seed: int = 0) -> tuple[float, float]:
    """Percentile bootstrap of the difference of two means over seeds and videos.

    A draw takes as many videos as there are, the same for both networks, because what is hard for
    one is hard for the other; and of each network as many seeds as it has.

    Args:
        scores: of a network.
        base: of the network it is compared with.
        seed: of the draws.

    Returns:
        The bounds that hold the middle 95 % of the draws.
    """
    random = np.random.default_rng(seed)
    count = scores.shape[1]
    videos = random.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count
    drawn = [_drawn_mean(each, videos, random) for each in (scores, base)]
    beside = (100 - COVERAGE) / 2
    low, high = np.percentile(drawn[0] - drawn[1], (beside, 100 - beside))
    return float(low), float(high)


def _drawn_mean(
    scores: Scores, videos: Float[np.ndarray, "draws videos"], random: np.random.Generator
) -> Float[np.ndarray, " draws"]:
    count = len(scores)
    seeds = random.multinomial(count, np.full(count, 1 / count), size=DRAWS) / count
    return np.einsum("ds,sv,dv->d", seeds, scores, videos)


def _scores(runs: Sequence[Run], videos: Sequence[str]) -> Scores:
    return np.array([[run.scores[video] for video in videos] for run in runs])


def _by_videos(runs: Sequence[Run]) -> list[list[list[Run]]]:
    """For each set of videos its networks, each of them as its runs."""
    sets: dict[tuple, dict[str, list[Run]]] = {}
    for run in runs:
        if run.scores:
            networks = sets.setdefault((run.dataset, run.split, frozenset(run.scores)), {})
            networks.setdefault(run.network, []).append(run)
    return [list(networks.values()) for networks in sets.values()]
