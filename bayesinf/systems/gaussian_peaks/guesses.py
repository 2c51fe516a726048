"""Where lmfit starts: peaks read off a smoothed spectrum, on a background laid under it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bayesinf.models.curve import without_outliers
from bayesinf.systems.gaussian_peaks.lines import Lines

__all__ = ["guesses"]

SMOOTHING = (1 / 80, 1 / 25)  # half widths of running means, in lengths of the spectrum


def guesses(
    x: np.ndarray,
    y: np.ndarray,
    lines: Lines,
    *,
    negative: bool = False,
    centers: Sequence[float] = (),
) -> list[dict[str, object]]:
    """Guess where lmfit should start, in a few ways.

    A background is laid under the data; then the highest of what stands above it, smoothed, is
    taken for a peak as wide as its steeper side, subtracted, and so on. The ways differ in the
    smoothing, in splitting the broadest peak into two, and in leaving out points that stand alone.

    Parameters
    ----------
    x, y : (point,), sorted by x.
    lines : which curve.
    negative : whether the peaks point down.
    centers : where the peaks are, (peak,); else they are looked for.
    """
    sign = -1.0 if negative else 1.0
    clean = without_outliers(y)
    found = []
    for values in (y, clean) if np.any(clean != y) else (y,):
        for share in SMOOTHING:
            window = max(1, int(share * len(x)))
            smooth = np.convolve(np.pad(values, window, "edge"), np.ones(2 * window + 1), "valid")
            smooth = sign * smooth / (2 * window + 1)
            floor, background = _floor(x, smooth, lines, sign)
            for peeled in _ways(x, smooth - floor, lines.peaks, sorted(centers)):
                height, center, sigma = np.array(sorted(peeled, key=lambda line: line[1])).T
                peaks = {"height": sign * height, "center": center, "sigma": sigma}
                found.append(peaks | background)
    return found


def _ways(x, y, count, centers) -> Iterator[list[tuple[float, float, float]]]:
    """Peaks as (height, centre, sigma): as they are peeled off, and with the broadest split."""
    if centers:
        yield [_at(x, y, center, centers) for center in centers]
        return
    yield _peel(x, y, count)
    if count > 1:
        peeled = sorted(_peel(x, y, count - 1), key=lambda line: line[2])
        height, center, sigma = peeled.pop()
        halves = [(0.7 * height, center + side * 0.7 * sigma, 0.7 * sigma) for side in (-1, 1)]
        yield [*peeled, *halves]


def _at(x, y, center, centers):
    """The peak at a known place, no wider than half the way to the next."""
    height, _, sigma = _peak(x, y, int(np.argmin(np.abs(x - center))))
    gaps = [abs(center - other) for other in centers if other != center]
    return height, center, min([sigma, *(gap / 2 for gap in gaps)])


def _peel(x, y, count):
    """Take the highest peaks off one by one, as Gaussians."""
    rest, lines = y.copy(), []
    for _ in range(count):
        height, center, sigma = _peak(x, rest, int(np.argmax(rest)))
        lines.append((height, center, sigma))
        rest = rest - height * np.exp(-0.5 * ((x - center) / sigma) ** 2)
    return lines


def _peak(x, y, top):
    """Height, centre and sigma of a peak at a position, as wide as its steeper side."""
    height = max(float(y[top]), 1e-3 * float(np.ptp(y)), 1e-300)
    below = np.flatnonzero(y < height / 2)
    sides = [
        abs(x[top] - x[i]) for i in (below[below < top][-1:], below[below > top][:1]) if len(i)
    ]
    half_width = min((float(side[0]) for side in sides), default=np.ptp(x) / 10)
    sigma = max(half_width / np.sqrt(2 * np.log(2)), np.ptp(x) / len(x) / 2)
    return height, float(x[top]), float(sigma)


def _floor(x, smooth, lines, sign):
    """Lay a background under smoothed data that point upwards; also as starting values."""
    if lines.background == "none":
        return np.zeros(len(x)), {}
    names = lines.of_background
    blocks = np.array_split(np.arange(len(x)), min(max(12, 2 * len(names)), len(x)))
    low = np.array([block[np.argmin(smooth[block])] for block in blocks])
    if lines.background == "constant":
        level = float(np.quantile(smooth[low], 0.25))
        return np.full(len(x), level), {"background_level": sign * level}
    # Through the lowest points, dropping again and again those that stand above: of the logarithm
    # for an exponential.
    exponential = lines.background == "exponential"
    value = np.log(np.maximum(smooth, 1e-3 * np.ptp(smooth))) if exponential else smooth
    shift = x - lines.origin
    design = np.stack([np.ones(len(x)), shift], axis=1) if exponential else lines.design(x)
    for _ in range(4):
        found = np.linalg.lstsq(design[low], value[low], rcond=None)[0]
        above = value[low] - design[low] @ found
        if len(low) <= len(found) + 2:
            break
        low = low[above < np.quantile(above, 0.8)]
    line = design @ found
    if not exponential:
        return line, dict(zip(names, (sign * found).tolist(), strict=True))
    level, slope = found
    decay = float(np.clip(-1 / min(slope, -1e-300), np.ptp(x) / len(x), 3 * np.ptp(x)))
    return np.exp(line), {"background_level": sign * np.exp(level), "background_decay": decay}
