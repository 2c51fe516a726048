"""Where descents begin: guesses read off smoothed data, and places all over the box.

The guesses are those of ``gaussian_peaks.guesses``, compiled; a test holds them together.
"""

from math import exp, inf, log, sqrt

import numba
import numpy as np

from bayesinf.systems.gaussian_peaks.batch.algebra import INNER, OPTIONS, linear
from bayesinf.systems.gaussian_peaks.batch.evaluation import curve

__all__ = ["guesses", "scattered"]


@numba.njit(**INNER)
def quantile(values, count, share):
    """Return a quantile of the first few values, linear between order statistics; sorts them."""
    for k in range(1, count):
        value, m = values[k], k
        while m > 0 and values[m - 1] > value:
            values[m] = values[m - 1]
            m -= 1
        values[m] = value
    place = share * (count - 1)
    low = int(place)
    high = min(low + 1, count - 1)
    return values[low] + (place - low) * (values[high] - values[low])


@numba.njit(**INNER)
def top_of(y):
    """Return the place of the highest value."""
    best = 0
    for i in range(len(y)):
        if y[i] > y[best]:
            best = i
    return best


@numba.njit(**INNER)
def nearest(x, place):
    """Return the position of the x nearest to a place."""
    best = 0
    for i in range(len(x)):
        if abs(x[i] - place) < abs(x[best] - place):
            best = i
    return best


@numba.njit(**INNER)
def span_of(y):
    """Return the range of values."""
    low = high = y[0]
    for i in range(len(y)):
        low, high = min(low, y[i]), max(high, y[i])
    return high - low


@numba.njit(**INNER)
def smoothed(y, window, sign):
    """Running mean over 2 window + 1 points, the ends repeated."""
    n = len(y)
    found = np.empty(n)
    total = 0.0
    for k in range(-window, window + 1):
        total += y[min(max(k, 0), n - 1)]
    for i in range(n):
        found[i] = sign * total / (2 * window + 1)
        total += y[min(i + window + 1, n - 1)] - y[max(i - window, 0)]
    return found


@numba.njit(**INNER)
def below(over, limit, points, low):
    """Keep the first of some places where a value is below a limit; return how many they are."""
    kept = 0
    for k in range(points):
        if over[k] < limit:
            low[kept] = low[k]
            kept += 1
    return kept


@numba.njit(**INNER)
def floor(x, smooth, design, exponential, origin, sign, theta, line):
    """Lay a background under smoothed data that point upwards, and note it in θ."""
    n, count = len(x), 2 if exponential else design.shape[0]
    for i in range(n):
        line[i] = 0.0
    if count == 0:
        return
    points = min(max(12, 2 * count), n)
    low, above = np.empty(points, dtype=np.int64), np.empty(points)
    begin = 0
    for k in range(points):
        end = begin + n // points + (1 if k < n % points else 0)
        low[k] = begin
        for i in range(begin, end):
            if smooth[i] < smooth[low[k]]:
                low[k] = i
        above[k] = smooth[low[k]]
        begin = end
    if count == 1:
        level = quantile(above, points, 0.25)
        theta[0] = sign * level
        for i in range(n):
            line[i] = level
        return
    value, columns = np.empty(n), np.empty((count, n))
    least = max(1e-3 * span_of(smooth), 1e-300)
    for i in range(n):
        value[i] = log(max(smooth[i], least)) if exponential else smooth[i]
        for a in range(count):
            if exponential:
                columns[a, i] = 1.0 if a == 0 else x[i] - origin
            else:
                columns[a, i] = design[a, i]
    found = linear(columns, value, low, points)
    for _ in range(3):
        if points <= count + 2:
            break
        # Drop again and again those that stand above.
        over = np.empty(points)
        for k in range(points):
            over[k] = value[low[k]]
            for a in range(count):
                over[k] -= columns[a, low[k]] * found[a]
            above[k] = over[k]
        points = below(over, quantile(above, points, 0.8), points, low)
        if points == 0:
            break
        found = linear(columns, value, low, points)
    for i in range(n):
        for a in range(count):
            line[i] += columns[a, i] * found[a]
        if exponential:
            line[i] = exp(line[i])
    for a in range(count):
        theta[a] = sign * found[a]
    if exponential:
        width = x[n - 1] - x[0]
        theta[0] = sign * exp(found[0])
        theta[1] = min(max(-1.0 / min(found[1], -1e-300), width / n), 3 * width)


@numba.njit(**INNER)
def peak(x, y, top, span):
    """Height, centre and sigma of a peak at a position, as wide as its steeper side."""
    n, width = len(x), x[len(x) - 1] - x[0]
    height = max(y[top], 1e-3 * span, 1e-300)
    half = inf
    for i in range(top - 1, -1, -1):
        if y[i] < height / 2:
            half = min(half, x[top] - x[i])
            break
    for i in range(top + 1, n):
        if y[i] < height / 2:
            half = min(half, x[i] - x[top])
            break
    if not half < inf:
        half = width / 10
    return height, x[top], max(half / sqrt(2 * log(2)), width / n / 2)


@numba.njit(**INNER)
def peel(x, y, count, found):
    """Take the highest peaks off one by one, as Gaussians; (peak, 3) is filled in."""
    rest = y.copy()
    for k in range(count):
        found[k, 0], found[k, 1], found[k, 2] = peak(x, rest, top_of(rest), span_of(rest))
        for i in range(len(x)):
            z = (x[i] - found[k, 1]) / found[k, 2]
            rest[i] -= found[k, 0] * exp(-0.5 * z * z)


@numba.njit(**INNER)
def known(x, y, centers, found):
    """Read peaks off at known places, no wider than half the way to the next."""
    for k in range(len(centers)):
        height, _, sigma = peak(x, y, nearest(x, centers[k]), span_of(y))
        for m in range(len(centers)):
            if centers[m] != centers[k]:
                sigma = min(sigma, abs(centers[m] - centers[k]) / 2)
        found[k, 0], found[k, 1], found[k, 2] = height, centers[k], sigma


@numba.njit(**INNER)
def split(found, peaks):
    """Split the broadest of all peaks but the last into two, of which one takes its place."""
    broadest = 0
    for k in range(peaks - 1):
        if found[k, 2] > found[broadest, 2]:
            broadest = k
    height, center, sigma = found[broadest, 0], found[broadest, 1], found[broadest, 2]
    for place, side in ((broadest, -1.0), (peaks - 1, 1.0)):
        found[place, 0], found[place, 2] = 0.7 * height, 0.7 * sigma
        found[place, 1] = center + side * 0.7 * sigma


@numba.njit(**INNER)
def guess(x, y, design, exponential, origin, slots, sign, centers, starts):
    """Fill in starts, (way, parameter), of one spectrum."""
    n, peaks, way = len(x), slots.shape[0], 0
    found, line = np.empty((peaks, 3)), np.empty(n)
    tied = peaks > 1 and slots[0, 2] == slots[peaks - 1, 2]
    for share in (1 / 80, 1 / 25):
        smooth = smoothed(y, max(1, int(share * n)), sign)
        for kind in range(2 if peaks > 1 and len(centers) == 0 else 1):
            floor(x, smooth, design, exponential, origin, sign, starts[way], line)
            for i in range(n):
                line[i] = smooth[i] - line[i]
            if len(centers):
                known(x, line, centers, found)
            else:
                peel(x, line, peaks - kind, found)
            if kind == 1:
                split(found, peaks)
            shared = 0.0
            for k in range(peaks):
                shared += found[k, 2] / peaks
            for k in range(peaks):
                place = 0  # among the peaks by their centres
                for m in range(peaks):
                    place += found[m, 1] < found[k, 1] or (found[m, 1] == found[k, 1] and m < k)
                starts[way, slots[place, 0]] = sign * found[k, 0]
                starts[way, slots[place, 1]] = found[k, 1]
                starts[way, slots[place, 2]] = shared if tied else found[k, 2]
                if slots[place, 3] >= 0:
                    starts[way, slots[place, 3]] = 0.5
            way += 1


# --- all spectra ----------------------------------------------------------------------------------


@numba.njit(**OPTIONS)
def guesses(x, y, at, design, exponential, origin, slots, sign, centers, starts):
    """Fill in starts of each spectrum, (spectrum, way, parameter).

    Parameters
    ----------
    x, y : of all spectra one after the other, (point,).
    at : where each begins and ends, (spectrum + 1,).
    design : of all spectra, (parameter, point).
    origin : (spectrum,).
    sign : 1 for peaks, −1 for dips.
    centers : where the peaks are known to be, (peak,), or none.
    """
    for s in range(len(at) - 1):
        a, b = at[s], at[s + 1]
        base, own = design[:, a:b], starts[s]
        guess(x[a:b], y[a:b], base, exponential, origin[s], slots, sign, centers, own)


@numba.njit(**OPTIONS)
def scattered(
    x,
    y,
    weight,
    counted,
    at,
    design,
    exponential,
    origin,
    shape,
    slots,
    lower,
    upper,
    chosen,
    share,
    starts,
):
    """Move starts of chosen spectra, (spectrum, parameter), into their boxes, at ``share`` of them.

    The linear parameters are those that fit there. Widths and decays are even in their logarithms;
    a parameter that has no box stays where it is.

    Parameters
    ----------
    as for ``descend``, and
    chosen : the places of spectra.
    share : (parameter,), from 0 to 1.
    """
    count, background = starts.shape[1], design.shape[0]
    straight = np.zeros(count, dtype=np.bool_)
    for a in range(1 if exponential else background):
        straight[a] = True
    for k in range(slots.shape[0]):
        straight[slots[k, 0]] = True
    for s in chosen:
        left, right, start, low, high = at[s], at[s + 1], starts[s], lower[s], upper[s]
        n, own, base = right - left, x[left:right], design[:, left:right]
        for a in range(count):
            if straight[a]:
                start[a] = 1.0
            elif high[a] - low[a] < inf:
                start[a] = low[a] + share[a] * (high[a] - low[a])
        for k in range(slots.shape[0]):
            a = slots[k, 2]
            if low[a] > 0 and high[a] < inf:
                start[a] = low[a] * (high[a] / low[a]) ** share[a]
        if exponential:
            start[1] = (own[n - 1] - own[0]) * 10 ** (2 * share[1] - 1)
        mean, slopes, value = np.empty(n), np.empty((count, n)), np.empty(n)
        points, held = np.arange(n), 0
        curve(own, base, exponential, origin[s], shape, slots, start, mean, slopes)
        for i in range(n):
            # Counts weigh by their own root here, and no less than one count does.
            by = weight[left + i]
            mean[i] = by / sqrt(max(y[left + i], 1.0 / (by * by))) if counted else by
            value[i] = y[left + i] * mean[i]
        for a in range(count):
            if straight[a]:
                for i in range(n):
                    slopes[held, i] = slopes[a, i] * mean[i]
                held += 1
        found, held = linear(slopes[:held], value, points, n), 0
        for a in range(count):
            if straight[a]:
                start[a] = found[held]
                held += 1
