"""The compiled loops of a batch: curve and slopes, descents, draws. Importing it imports numba.

A point θ holds the background's parameters and those of each peak; ``slots`` (peak, 4) says where
in θ a peak keeps height, centre, sigma and fraction, so that a width may be shared. A background is
linear in its parameters, with the columns of ``design`` (parameter, point), or an exponential. The
slopes are exact, in rows (parameter, point). A test holds curve and slopes to lmfit's.

Descents are those of ``inference.scoring``: damped steps (Nielsen 1999), scaled by the column norms
of the slopes (Moré 1978), that end on a bound and leave it where the slope points inwards.
"""

from math import exp, inf, log, pi, sqrt

import numba
import numpy as np

__all__ = ["SHAPES", "bells", "curve", "fit", "guess", "residuals", "tails", "weigh"]

OPTIONS = {"nogil": True, "cache": True, "fastmath": {"contract", "reassoc"}}
OPTIONS |= {"error_model": "numpy"}
SHAPES = {"gaussian": 0, "lorentzian": 1, "pseudo-voigt": 2}

FIRST_DAMPING = 1e-2
LARGEST_DAMPING = 1e16
LEAST_RATIO = 1e-4  # of gain to promise, below which a step is not taken
MEMORY = 0.5  # share of a column's largest norm that the scale keeps from step to step
MOST = 200  # steps of a descent
POLISHING = 30  # undamped steps at most
BENDING = 0.1  # of the noise, over which the bend of the curve is measured
POLISHED = 1e-7  # length of a step, in standard errors, at which they end

G0, L0 = sqrt(log(2) / pi), 1 / pi  # heights of a Gaussian and a Lorentzian of area and width 1


LOG2E, LN2_HIGH, LN2_LOW = 1.4426950408889634, 0.6931471803691238, 1.9082149292705877e-10
SHIFT = 1.5 * 2.0**52  # added to a number it leaves the nearest integer in the last bits
LOWEST = -700.0  # of an exponent, below which a bell is as good as zero


# Sums may not be taken in another order here: the rounding is what is worked with.
@numba.njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def bells(x, center, rate, found, work):
    """Fill in exp(−rate (x − center)²), in loops that the compiler makes vectors of.

    exp t = 2^k e^r with k the integer nearest to t / log 2, |r| ≤ log(2) / 2 and e^r by its series
    to order 13; right to about two units of the last digit, a test says. The library's exponential
    takes one number at a time, and four times as long.
    """
    whole = work.view(np.int64)
    for i in range(len(x)):
        shift = x[i] - center
        t = max(-rate * shift * shift, LOWEST)
        moved = t * LOG2E + SHIFT
        k = moved - SHIFT
        r = (t - k * LN2_HIGH) - k * LN2_LOW
        p = 1 / 6227020800.0
        p = p * r + 1 / 479001600.0
        p = p * r + 1 / 39916800.0
        p = p * r + 1 / 3628800.0
        p = p * r + 1 / 362880.0
        p = p * r + 1 / 40320.0
        p = p * r + 1 / 5040.0
        p = p * r + 1 / 720.0
        p = p * r + 1 / 120.0
        p = p * r + 1 / 24.0
        p = p * r + 1 / 6.0
        p = p * r + 0.5
        p = p * r + 1.0
        found[i] = p * r + 1.0
        work[i] = moved
    for i in range(len(x)):
        whole[i] = (whole[i] << 52) + (1023 << 52)
    for i in range(len(x)):
        found[i] *= work[i]


@numba.njit(**OPTIONS)
def curve(x, design, exponential, origin, shape, slots, theta, mean, slopes, weight, sloped):
    """Fill in the mean (point,) and, where ``sloped``, weight · ∂mean/∂θ, (parameter, point)."""
    n, background = len(x), design.shape[0]
    line, bend, work = np.empty(n), np.empty(n), np.empty(n)
    if sloped:
        for a in range(slopes.shape[0]):
            for i in range(n):
                slopes[a, i] = 0.0
    for i in range(n):
        mean[i] = 0.0
    if exponential:
        level, decay = theta[0], theta[1]
        for i in range(n):
            shift = x[i] - origin
            e = exp(-shift / decay)
            mean[i] = level * e
            if sloped:
                slopes[0, i] = weight[i] * e
                slopes[1, i] = weight[i] * level * e * shift / (decay * decay)
    for b in range(background):
        for i in range(n):
            mean[i] += theta[b] * design[b, i]
        if sloped:
            for i in range(n):
                slopes[b, i] = weight[i] * design[b, i]
    for k in range(slots.shape[0]):
        at_h, at_c, at_s, at_f = slots[k, 0], slots[k, 1], slots[k, 2], slots[k, 3]
        h, c, per = theta[at_h], theta[at_c], 1.0 / theta[at_s]
        share = theta[at_f] if shape == 2 else 0.0
        whole = (1 - share) * G0 + share * L0
        # The line of height 1, and its slope along −z over z.
        if shape == 0:
            bells(x, c, 0.5 * per * per, line, work)
            for i in range(n):
                bend[i] = line[i]
        elif shape == 1:
            for i in range(n):
                z = (x[i] - c) * per
                line[i] = 1.0 / (1.0 + z * z)
                bend[i] = 2.0 * line[i] * line[i]
        else:
            bells(x, c, log(2) * per * per, line, work)
            for i in range(n):
                z = (x[i] - c) * per
                bell, hill = line[i], 1.0 / (1.0 + z * z)
                line[i] = ((1 - share) * G0 * bell + share * L0 * hill) / whole
                bend[i] = 2 * (log(2) * (1 - share) * G0 * bell + share * L0 * hill * hill) / whole
                if sloped:
                    mixed = h * G0 * L0 * (hill - bell) / (whole * whole)
                    slopes[at_f, i] += weight[i] * mixed
        for i in range(n):
            mean[i] += h * line[i]
        if sloped:
            for i in range(n):
                z = (x[i] - c) * per
                turn = weight[i] * h * bend[i] * z * per
                slopes[at_h, i] += weight[i] * line[i]
                slopes[at_c, i] += turn
                slopes[at_s, i] += turn * z


@numba.njit(**OPTIONS)
def squares(y, weight, mean, residual):
    """Fill in the weighted residuals and return their sum of squares."""
    total = 0.0
    for i in range(len(y)):
        residual[i] = (y[i] - mean[i]) * weight[i]
        total += residual[i] * residual[i]
    return total


@numba.njit(**OPTIONS)
def products(slopes, residual, normal, slope):
    """Fill in JᵀJ, its lower half and its upper, and Jᵀr."""
    count, n = slopes.shape
    for a in range(count):
        total = 0.0
        for i in range(n):
            total += slopes[a, i] * residual[i]
        slope[a] = total
        for b in range(a + 1):
            total = 0.0
            for i in range(n):
                total += slopes[a, i] * slopes[b, i]
            normal[a, b] = normal[b, a] = total


@numba.njit(**OPTIONS)
def factor(matrix, root):
    """Cholesky's factor of a positive definite matrix; False where it is none."""
    count = len(matrix)
    for a in range(count):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= root[a, c] * root[b, c]
            if a == b:
                if not total > 1e-15 * matrix[a, a]:
                    return False
                root[a, a] = sqrt(total)
            else:
                root[a, b] = total / root[b, b]
        for b in range(a + 1, count):
            root[a, b] = 0.0
    return True


@numba.njit(**OPTIONS)
def solve(root, vector):
    """Solve L Lᵀ v = vector in place."""
    count = len(vector)
    for a in range(count):
        for b in range(a):
            vector[a] -= root[a, b] * vector[b]
        vector[a] /= root[a, a]
    for a in range(count - 1, -1, -1):
        for b in range(a + 1, count):
            vector[a] -= root[b, a] * vector[b]
        vector[a] /= root[a, a]


@numba.njit(**OPTIONS)
def stepped(normal, slope, scale, damping, stuck, damped, root, step):
    """Fill in (JᵀJ + λ D²)⁻¹ Jᵀr of what is not stuck; return its promise, −1 where it has none."""
    count = len(slope)
    for a in range(count):
        step[a] = 0.0 if stuck[a] else slope[a] / scale[a]
        for b in range(count):
            if stuck[a] or stuck[b]:
                damped[a, b] = 1.0 if a == b else 0.0
            else:
                damped[a, b] = normal[a, b] / (scale[a] * scale[b])
        if not stuck[a]:
            damped[a, a] += damping
    if not factor(damped, root):
        return -1.0
    solve(root, step)
    promise = 0.0
    for a in range(count):
        # Of a linear mean the gain of a step δ is 2 δᵀg − δᵀAδ = δᵀg + λ |Dδ|².
        if not stuck[a]:
            promise += step[a] * slope[a] / scale[a] + damping * step[a] * step[a]
        step[a] /= scale[a]
    return promise


@numba.njit(**OPTIONS)
def descend(
    x, y, weight, design, exponential, origin, shape, slots, lower, upper, theta, tolerance
):
    """Descend from θ, which is changed in place; return the sum of squares and the steps taken."""
    n, count = len(x), len(theta)
    mean, residual, slopes = np.empty(n), np.empty(n), np.empty((count, n))
    normal, slope = np.empty((count, count)), np.empty(count)
    damped, root, step = np.empty((count, count)), np.empty((count, count)), np.empty(count)
    scale, there, stuck = np.zeros(count), np.empty(count), np.zeros(count, dtype=np.bool_)
    for a in range(count):
        theta[a] = min(max(theta[a], lower[a]), upper[a])
    curve(x, design, exponential, origin, shape, slots, theta, mean, slopes, weight, True)
    value = squares(y, weight, mean, residual)
    if not value < inf:
        return inf, 0
    products(slopes, residual, normal, slope)
    damping, growth, taken = FIRST_DAMPING, 2.0, 0
    while taken < MOST:
        taken += 1
        for a in range(count):
            scale[a] = max(MEMORY * scale[a], sqrt(normal[a, a]), 1e-300)
            stuck[a] = (theta[a] <= lower[a] and slope[a] < 0) or (
                theta[a] >= upper[a] and slope[a] > 0
            )
        promise = stepped(normal, slope, scale, damping, stuck, damped, root, step)
        found = inf
        if promise >= 0:
            for a in range(count):
                there[a] = min(max(theta[a] + step[a], lower[a]), upper[a])
            # With the slopes, as most steps are taken.
            curve(x, design, exponential, origin, shape, slots, there, mean, slopes, weight, True)
            found = squares(y, weight, mean, residual)
        ratio = (value - found) / promise if found < inf and promise > 0 else -1.0
        ended = 0 <= promise <= tolerance * value
        if ratio > LEAST_RATIO:
            copied(there, theta)
            value = found
            products(slopes, residual, normal, slope)
            damping *= max(1 / 3, 1 - (2 * min(ratio, 2.0) - 1) ** 3)
            growth = 2.0
        else:
            damping *= growth
            growth *= 2.0
        if ended or damping > LARGEST_DAMPING:
            break
    return value, taken


@numba.njit(**OPTIONS)
def polish(
    x, y, weight, design, exponential, origin, shape, slots, lower, upper, theta, dof, found
):
    """Take undamped steps while they shrink, and fill in (JᵀJ)⁻¹ where they end.

    Returns the sum of squares, the length of the last step, and whether the inverse exists. The
    length is that in the metric of the curvature, for noise as large as the residuals, and no
    change of a parameter is longer in its standard errors.
    """
    n, count = len(x), len(theta)
    mean, residual, slopes = np.empty(n), np.empty(n), np.empty((count, n))
    normal, slope = np.empty((count, count)), np.empty(count)
    damped, root, step = np.empty((count, count)), np.empty((count, count)), np.empty(count)
    scale, stuck, column = np.empty(count), np.zeros(count, dtype=np.bool_), np.empty(count)
    before, value = inf, inf
    for _ in range(POLISHING):
        curve(x, design, exponential, origin, shape, slots, theta, mean, slopes, weight, True)
        value = squares(y, weight, mean, residual)
        products(slopes, residual, normal, slope)
        for a in range(count):
            scale[a] = max(sqrt(normal[a, a]), 1e-300)
            stuck[a] = (theta[a] <= lower[a] and slope[a] < 0) or (
                theta[a] >= upper[a] and slope[a] > 0
            )
        gain = stepped(normal, slope, scale, 0.0, stuck, damped, root, step)
        if gain < 0:
            before = inf
            break
        length = sqrt(gain / max(value / dof, 1e-300))
        inside = True
        for a in range(count):
            inside = inside and lower[a] <= theta[a] + step[a] <= upper[a]
        if not length < before or not inside or length < POLISHED:
            before = min(before, length) if inside else length
            break
        for a in range(count):
            theta[a] += step[a]
        before = length
    for a in range(count):
        for b in range(count):
            damped[a, b] = normal[a, b] / (scale[a] * scale[b])
    if not factor(damped, root):
        return value, before, False
    for a in range(count):
        for b in range(count):
            column[b] = 1.0 if a == b else 0.0
        solve(root, column)
        for b in range(count):
            found[b, a] = column[b] / (scale[a] * scale[b])
    return value, before, True


@numba.njit(**OPTIONS)
def order(slots, theta):
    """Exchange whole peaks, in place, so that their centres ascend."""
    for k in range(1, slots.shape[0]):
        for m in range(k, 0, -1):
            if theta[slots[m, 1]] >= theta[slots[m - 1, 1]]:
                break
            for role in range(4):
                a, b = slots[m, role], slots[m - 1, role]
                if a != b and a >= 0:
                    theta[a], theta[b] = theta[b], theta[a]


# --- where to begin -------------------------------------------------------------------------------


@numba.njit(**OPTIONS)
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


@numba.njit(**OPTIONS)
def top_of(y):
    """Return the place of the highest value."""
    best = 0
    for i in range(len(y)):
        if y[i] > y[best]:
            best = i
    return best


@numba.njit(**OPTIONS)
def span_of(y):
    """Return the range of values."""
    low = high = y[0]
    for i in range(len(y)):
        low, high = min(low, y[i]), max(high, y[i])
    return high - low


@numba.njit(**OPTIONS)
def copied(source, target):
    """Copy a vector; slices would take seconds to compile."""
    for i in range(len(source)):
        target[i] = source[i]


@numba.njit(**OPTIONS)
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


@numba.njit(**OPTIONS)
def linear(design, value, low, points):
    """Least squares through the first of some points, (parameter,)."""
    count = design.shape[0]
    normal, found, root = np.zeros((count, count)), np.zeros(count), np.empty((count, count))
    scale = np.empty(count)
    for a in range(count):
        for k in range(points):
            found[a] += design[a, low[k]] * value[low[k]]
        for b in range(count):
            for k in range(points):
                normal[a, b] += design[a, low[k]] * design[b, low[k]]
    for a in range(count):
        scale[a] = max(sqrt(normal[a, a]), 1e-300)
    for a in range(count):
        found[a] /= scale[a]
        for b in range(count):
            normal[a, b] /= scale[a] * scale[b]
        normal[a, a] += 1e-10
    fine = factor(normal, root)
    if fine:
        solve(root, found)
    for a in range(count):
        found[a] = found[a] / scale[a] if fine else 0.0
    return found


@numba.njit(**OPTIONS)
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
        limit, kept = quantile(above, points, 0.8), 0
        for k in range(points):
            if over[k] < limit:
                low[kept] = low[k]
                kept += 1
        if kept == 0:
            break
        points = kept
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


@numba.njit(**OPTIONS)
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


@numba.njit(**OPTIONS)
def peel(x, y, count, found):
    """Take the highest peaks off one by one, as Gaussians; (peak, 3) is filled in."""
    rest = y.copy()
    for k in range(count):
        found[k, 0], found[k, 1], found[k, 2] = peak(x, rest, top_of(rest), span_of(rest))
        for i in range(len(x)):
            z = (x[i] - found[k, 1]) / found[k, 2]
            rest[i] -= found[k, 0] * exp(-0.5 * z * z)


@numba.njit(**OPTIONS)
def known(x, y, centers, found):
    """Read peaks off at known places, no wider than half the way to the next."""
    for k in range(len(centers)):
        at = 0
        for i in range(len(x)):
            if abs(x[i] - centers[k]) < abs(x[at] - centers[k]):
                at = i
        height, _, sigma = peak(x, y, at, span_of(y))
        for m in range(len(centers)):
            if centers[m] != centers[k]:
                sigma = min(sigma, abs(centers[m] - centers[k]) / 2)
        found[k, 0], found[k, 1], found[k, 2] = height, centers[k], sigma


@numba.njit(**OPTIONS)
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


@numba.njit(**OPTIONS)
def guess(x, y, design, exponential, origin, slots, sign, centers, starts):
    """Fill in starts, (way, parameter), as ``guesses.guesses`` finds them; return how many."""
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
    return way


@numba.njit(**OPTIONS)
def scatter(
    x, y, weight, design, exponential, origin, shape, slots, lower, upper, share, best, start
):
    """Fill in a start in the box, at ``share`` of it, with the linear parameters that fit there.

    Widths and decays are even in their logarithms; a parameter that has no box is where the best
    end so far has it.
    """
    n, count, background = len(x), len(start), design.shape[0]
    mean, slopes = np.empty(n), np.empty((count, n))
    for a in range(count):
        bounded = upper[a] - lower[a] < inf
        start[a] = lower[a] + share[a] * (upper[a] - lower[a]) if bounded else best[a]
    straight = np.zeros(count, dtype=np.bool_)
    for a in range(1 if exponential else background):
        straight[a] = True
    for k in range(slots.shape[0]):
        straight[slots[k, 0]] = True
        a = slots[k, 2]
        if lower[a] > 0 and upper[a] < inf:
            start[a] = lower[a] * (upper[a] / lower[a]) ** share[a]
    if exponential:
        start[1] = (x[n - 1] - x[0]) * 10 ** (2 * share[1] - 1)
    for a in range(count):
        if straight[a]:
            start[a] = 1.0
    curve(x, design, exponential, origin, shape, slots, start, mean, slopes, weight, True)
    columns, value, points, held = np.empty((count, n)), np.empty(n), np.empty(n, dtype=np.int64), 0
    for a in range(count):
        if straight[a]:
            copied(slopes[a], columns[held])
            held += 1
    for i in range(n):
        value[i], points[i] = y[i] * weight[i], i
    found, held = linear(columns[:held], value, points, n), 0
    for a in range(count):
        if straight[a]:
            start[a] = found[held]
            held += 1


# --- all spectra ----------------------------------------------------------------------------------


@numba.njit(**OPTIONS)
def below(value, best, size, inferred):
    """Log density by which a sum of squares lies below the best."""
    if not value < inf:
        return inf
    if inferred:
        return size / 2 * log(max(value, 1e-300) / max(best, 1e-300))
    return (value - best) / 2


@numba.njit(**OPTIONS)
def fit(
    data,
    at,
    design,
    exponential,
    origin,
    shape,
    slots,
    lower,
    upper,
    sign,
    centers,
    given,
    scattered,
    thorough,
    kept_ascending,
    inferred,
    rough,
    found,
):
    """Fit each spectrum: the best end of several descents, polished, and its covariance.

    Parameters
    ----------
    data : x, y and weight of all spectra one after the other, (3, point).
    at : where each begins and ends, (spectrum + 1,).
    design : of all spectra, (parameter, point).
    origin : (spectrum,).
    lower, upper : (spectrum, parameter).
    given : starts of the caller's, (start, parameter), in place of guesses; or none.
    scattered : starts in the box, in units of it, (start, parameter), which join while the best end
        was found but once, or all where the search is ``thorough``.
    rough : share of χ² at which a descent in that search ends.
    found : arrays to fill in: theta (spectrum, parameter), covariance, rss, length of the last
        step, how many starts agree, how many rivals they found, whether a covariance exists, steps.
    """
    theta, cov, rss, length, agreeing, rivals, exists, steps = found
    count, ways = theta.shape[1], max(4, len(given)) + len(scattered)
    starts, ends = np.empty((ways, count)), np.empty(ways)
    for s in range(len(at) - 1):
        part = slice(at[s], at[s + 1])
        x, y, weight, base = data[0, part], data[1, part], data[2, part], design[:, part]
        size = len(x)
        for k in range(ways):
            for a in range(count):
                starts[k, a] = given[k, a] if k < len(given) else 0.0
        if len(given):
            begun = len(given)
        else:
            begun = guess(x, y, base, exponential, origin[s], slots, sign, centers, starts)
        best, total, tried = 0, 0, 0
        while True:
            # Guesses are alike, and where they agree others are asked only if all are to be.
            if tried == begun + len(scattered) or (tried >= begun and total > 1 and not thorough):
                break
            if tried >= begun:
                scatter(
                    x,
                    y,
                    weight,
                    base,
                    exponential,
                    origin[s],
                    shape,
                    slots,
                    lower[s],
                    upper[s],
                    scattered[tried - begun],
                    starts[best],
                    starts[tried],
                )
            ends[tried], taken = descend(
                x,
                y,
                weight,
                base,
                exponential,
                origin[s],
                shape,
                slots,
                lower[s],
                upper[s],
                starts[tried],
                rough,
            )
            steps[s] += taken
            tried += 1
            best, total = 0, 0
            for k in range(tried):
                if ends[k] < ends[best]:
                    best = k
            for k in range(tried):
                if below(ends[k], ends[best], size, inferred) <= 0.01:
                    total += 1
        copied(starts[best], theta[s])
        rss[s] = ends[best]
        agreeing[s], rivals[s] = total, 0
        for k in range(tried):
            if 0.01 < below(ends[k], ends[best], size, inferred) <= 3.0:
                rivals[s] += 1
        if not rss[s] < inf:
            length[s], exists[s] = inf, False
            continue
        if kept_ascending:
            order(slots, theta[s])
        rss[s], length[s], exists[s] = polish(
            x,
            y,
            weight,
            base,
            exponential,
            origin[s],
            shape,
            slots,
            lower[s],
            upper[s],
            theta[s],
            max(size - count, 1),
            cov[s],
        )


@numba.njit(**OPTIONS)
def residuals(data, at, design, exponential, origin, shape, slots, theta, inferred, found):
    """Statistics of the residuals at θ, each near a standard normal where the model is right.

    Residuals are divided by their own standard deviations, noise · √(1 − leverage), which the fit
    has made smaller than those of the noise. Of the memory Σ r_i r_{i+1} the mean that the fit
    leaves, −noise² Σ_i H_{i,i+1} with H the hat matrix, is taken off.

    Parameters
    ----------
    found : (spectrum, 5) to fill in: memory, correlation of size and mean, skewness, the largest,
        and the condition of the slopes, each of length one.
    """
    count = theta.shape[1]
    for s in range(len(at) - 1):
        part = slice(at[s], at[s + 1])
        x, y, weight, base = data[0, part], data[1, part], data[2, part], design[:, part]
        n = len(x)
        mean, residual, slopes = np.empty(n), np.empty(n), np.empty((count, n))
        normal, slope, root = np.empty((count, count)), np.empty(count), np.empty((count, count))
        curve(x, base, exponential, origin[s], shape, slots, theta[s], mean, slopes, weight, True)
        rss = squares(y, weight, mean, residual)
        for a in range(count):
            length = 0.0
            for i in range(n):
                length += slopes[a, i] ** 2
            length = max(sqrt(length), 1e-300)
            for i in range(n):
                slopes[a, i] /= length
        products(slopes, residual, normal, slope)
        found[s, 4] = inf
        if not factor(normal, root):
            for k in range(4):
                found[s, k] = np.nan
            continue
        values = np.linalg.eigvalsh(normal)
        found[s, 4] = sqrt(values[-1] / max(values[0], 1e-300))
        for a in range(count):  # Q = L⁻¹ J, its rows orthonormal
            for b in range(a):
                for i in range(n):
                    slopes[a, i] -= root[a, b] * slopes[b, i]
            for i in range(n):
                slopes[a, i] /= root[a, a]
        noise = sqrt(rss / (n - count)) if inferred else 1.0
        memory, expected = 0.0, 0.0
        for i in range(n - 1):
            memory += residual[i] * residual[i + 1]
        for a in range(count):
            for i in range(n - 1):
                expected -= slopes[a, i] * slopes[a, i + 1]
        found[s, 0] = (memory / (noise * noise) - expected) / sqrt(n - 1.0)
        second, third, largest = 0.0, 0.0, 0.0
        along, sizes = 0.0, 0.0
        for i in range(n):
            along += mean[i] / n
        for i in range(n):
            leverage = 0.0
            for a in range(count):
                leverage += slopes[a, i] * slopes[a, i]
            residual[i] /= noise * sqrt(max(1.0 - leverage, 1e-6))
            second += residual[i] ** 2 / n
            third += residual[i] ** 3 / n
            largest = max(largest, abs(residual[i]))
            sizes += abs(residual[i]) / n
        product, of_size, of_mean = 0.0, 0.0, 0.0
        for i in range(n):
            a, b = abs(residual[i]) - sizes, mean[i] - along
            product += a * b
            of_size += a * a
            of_mean += b * b
        varied = sqrt(of_size * of_mean)
        found[s, 1] = product / varied * sqrt(n - 1.0) if varied > 0 else 0.0
        found[s, 2] = third / max(second, 1e-300) ** 1.5 * sqrt(n / 6.0)
        found[s, 3] = largest


@numba.njit(**OPTIONS)
def determinant(matrix):
    """Return the determinant of a matrix, by elimination in place."""
    count, found = len(matrix), 1.0
    for a in range(count):
        pivot = a
        for b in range(a + 1, count):
            if abs(matrix[b, a]) > abs(matrix[pivot, a]):
                pivot = b
        if matrix[pivot, a] == 0.0:
            return 0.0
        if pivot != a:
            found = -found
            for c in range(a, count):
                matrix[a, c], matrix[pivot, c] = matrix[pivot, c], matrix[a, c]
        found *= matrix[a, a]
        for b in range(a + 1, count):
            share = matrix[b, a] / matrix[a, a]
            for c in range(a, count):
                matrix[b, c] -= share * matrix[a, c]
    return found


@numba.njit(**OPTIONS)
def bends(x, weight, design, exponential, origin, shape, slots, theta, root, noise, bend):
    """Fill in how the curve bends along its tangent plane, T (parameter, parameter, parameter).

        T_abc = Q_aᵀ ∂²(w f) / ∂u_b ∂u_c,   θ = θ̂ + L u,   Q = J L with orthonormal columns

    by differences of the exact slopes over a part of the noise.
    """
    n, count = len(x), len(theta)
    mean, there = np.empty(n), np.empty(count)
    at, up, down = np.empty((count, n)), np.empty((count, n)), np.empty((count, n))
    plane, change = np.empty((count, n)), np.empty((count, count))
    curve(x, design, exponential, origin, shape, slots, theta, mean, at, weight, True)
    for a in range(count):
        for i in range(n):
            plane[a, i] = 0.0
        for b in range(a, count):  # the factor is lower triangular
            for i in range(n):
                plane[a, i] += root[b, a] * at[b, i]
    step = BENDING * noise
    for c in range(count):
        for side, slopes in ((1.0, up), (-1.0, down)):
            for a in range(count):
                there[a] = theta[a] + side * step * root[a, c]
            curve(x, design, exponential, origin, shape, slots, there, mean, slopes, weight, True)
        for b in range(count):
            for i in range(n):
                up[b, i] = (up[b, i] - down[b, i]) / (2 * step)
        for a in range(count):
            for b in range(count):
                total = 0.0
                for i in range(n):
                    total += plane[a, i] * up[b, i]
                change[a, b] = total
        for a in range(count):
            for b in range(count):
                total = 0.0
                for d in range(b, count):
                    total += change[a, d] * root[d, b]
                bend[a, b, c] = total
    for a in range(count):
        for b in range(count):
            for c in range(b):
                bend[a, b, c] = bend[a, c, b] = (bend[a, b, c] + bend[a, c, b]) / 2


@numba.njit(**OPTIONS)
def weigh(
    data,
    at,
    design,
    exponential,
    origin,
    shape,
    slots,
    lower,
    upper,
    theta,
    cov,
    rss,
    kept_ascending,
    typical,
    normals,
    scales,
    points,
    squared,
    log_weight,
    shift,
):
    """Draw around each optimum, and weigh the draws by the likelihood.

        θ = θ̂ + L (u − T(u, u) / 2),   u = noise · z
        log w = −(χ²(θ) − χ²(θ̂)) / 2 noise² + zᵀz / 2 + log det(1 − T(u, ·))

    These are normal in the plane that touches the curve, as of ``inference.tangent``, to second
    order; the density of what is drawn is exact. A weight is zero (−inf) outside the box, where
    centres do not ascend, and where the map folds.

    Parameters
    ----------
    typical : noise, (spectrum,).
    normals, scales : z (spectrum, draw, parameter), and the noise of each draw (spectrum, draw).
    points, squared, log_weight : to fill in: θ (spectrum, draw, parameter), χ² and log w
        (spectrum, draw).
    shift : to fill in: the mean of θ less θ̂ over noise², (spectrum, parameter).
    """
    count, peaks = theta.shape[1], slots.shape[0]
    bend, turn = np.empty((count, count, count)), np.empty((count, count))
    root, u = np.empty((count, count)), np.empty(count)
    for s in range(len(at) - 1):
        part = slice(at[s], at[s + 1])
        x, y, weight, base = data[0, part], data[1, part], data[2, part], design[:, part]
        n = len(x)
        mean, residual, none = np.empty(n), np.empty(n), np.empty((0, 0))
        # Where there is no covariance, what is to be filled in stays as it is.
        if not scaled_factor(cov[s], root):
            continue
        bends(
            x, weight, base, exponential, origin[s], shape, slots, theta[s], root, typical[s], bend
        )
        for a in range(count):
            shift[s, a] = 0.0
            for b in range(a + 1):
                for c in range(count):
                    shift[s, a] -= root[a, b] * bend[b, c, c] / 2
        for d in range(normals.shape[1]):
            length, inside, noise = 0.0, True, scales[s, d]
            for a in range(count):
                length += normals[s, d, a] ** 2
                u[a] = noise * normals[s, d, a]
            for a in range(count):
                for b in range(count):
                    turn[a, b] = 0.0
                    for c in range(count):
                        turn[a, b] += bend[a, b, c] * u[c]
            for a in range(count):
                points[s, d, a] = theta[s, a]
                for b in range(a + 1):
                    back = u[b]
                    for c in range(count):
                        back -= turn[b, c] * u[c] / 2
                    points[s, d, a] += root[a, b] * back
                inside = inside and lower[s, a] <= points[s, d, a] <= upper[s, a]
            if kept_ascending:
                for k in range(1, peaks):
                    inside = inside and points[s, d, slots[k, 1]] > points[s, d, slots[k - 1, 1]]
            for a in range(count):
                for b in range(count):
                    turn[a, b] = (1.0 if a == b else 0.0) - turn[a, b]
            volume = determinant(turn)
            if not inside or not volume > 0:
                squared[s, d], log_weight[s, d] = inf, -inf
                continue
            curve(
                x,
                base,
                exponential,
                origin[s],
                shape,
                slots,
                points[s, d],
                mean,
                none,
                weight,
                False,
            )
            squared[s, d] = squares(y, weight, mean, residual)
            log_weight[s, d] = (
                0.5 * length - 0.5 * (squared[s, d] - rss[s]) / (noise * noise) + log(volume)
            )


@numba.njit(**OPTIONS)
def scaled_factor(matrix, root):
    """Cholesky's factor of a covariance whose parameters have units of their own."""
    count = len(matrix)
    unit, scaled = np.empty(count), np.empty((count, count))
    for a in range(count):
        unit[a] = sqrt(matrix[a, a])
    for a in range(count):
        for b in range(count):
            scaled[a, b] = matrix[a, b] / (unit[a] * unit[b])
    if not factor(scaled, root):
        return False
    for a in range(count):
        for b in range(a + 1):
            root[a, b] *= unit[a]
    return True


@numba.njit(**OPTIONS)
def tails(log_weight, found):
    """Fill in Pareto k̂ of the weights of each spectrum, (spectrum,); inf where they are no numbers.

    The estimate of Zhang and Stephens (2009) with the prior of Vehtari et al. (2024), as of
    ``diagnostics.smoothed_weights``, to which a test holds it; doi:10.1198/tech.2009.08017.
    """
    draws = log_weight.shape[1]
    tail = int(3 * sqrt(draws)) if draws > 225 else draws // 5
    for s in range(log_weight.shape[0]):
        found[s] = inf
        top = log_weight[s].max()
        if not -inf < top < inf:
            continue
        ordered = np.sort(log_weight[s])
        for k in range(draws):
            ordered[k] -= top
        cut = ordered[draws - tail - 1]
        if -cut <= 1e-6:
            found[s] = 0.0
            continue
        low = exp(max(cut, -700.0))
        above = np.empty(tail)
        for k in range(tail):
            above[k] = exp(max(ordered[draws - tail + k], -700.0)) - low
        tries = 30 + int(sqrt(tail))
        quarter = above[int(tail / 4 + 0.5) - 1]
        if not quarter > above[0]:
            continue
        b, gain = np.empty(tries), np.empty(tries)
        for m in range(tries):
            b[m] = (1 - sqrt(tries / (m + 0.5))) / (3 * quarter) + 1 / above[tail - 1]
            k = 0.0
            for i in range(tail):
                k += np.log1p(-b[m] * above[i]) / tail
            gain[m] = tail * (log(-b[m] / k) - k - 1)
        total, best = 0.0, 0.0
        for m in range(tries):
            share = 0.0
            for other in range(tries):
                share += exp(min(gain[other] - gain[m], 700.0))
            if 1 / share >= 10 * 2.220446049250313e-16:
                total += 1 / share
                best += b[m] / share
        best /= total
        k = 0.0
        for i in range(tail):
            k += np.log1p(-best * above[i]) / tail
        found[s] = k * tail / (tail + 10) + 10 * 0.5 / (tail + 10)
