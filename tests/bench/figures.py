"""Figures: what was measured in each round, and what they come to."""

from statistics import median


class Figures:
    """Samples by the key of what they measure, lines of text, and curves."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = {}
        self.notes: list[str] = []
        # By name, samples of y by x.
        self.curves: dict[str, dict[float, list[float]]] = {}

    def add(self, key: str, value: float) -> None:
        """Add the sample of one round."""
        self._samples.setdefault(key, []).append(value)

    def add_point(self, curve: str, x: float, y: float) -> None:
        """Add a sample to a curve."""
        self.curves.setdefault(curve, {}).setdefault(x, []).append(y)

    def median(self, key: str) -> float | None:
        """Return the median of all rounds; None when it was not measured."""
        samples = self._samples.get(key)
        return median(samples) if samples else None

    def spread(self, key: str) -> tuple[float, float] | None:
        """Return the smallest and the greatest of all rounds; None when it was not measured."""
        samples = self._samples.get(key)
        return (min(samples), max(samples)) if samples else None

    def curve(self, name: str) -> list[tuple[float, float]]:
        """Return the points of a curve, each the median of its samples."""
        return [(x, median(samples)) for x, samples in sorted(self.curves.get(name, {}).items())]


def percentile(samples: list[float], part: float) -> float:
    """Return the smallest sample that so large a part of all is not greater than."""
    ordered = sorted(samples)
    return ordered[min(int(len(ordered) * part), len(ordered) - 1)]
