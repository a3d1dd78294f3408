"""The arithmetic of `edgernn.frontend.logmel` once more: Python's integers, one frame, one bin.

A second reading of its docstring, as a C programmer would write it: slow, no
float and no numpy beyond the tables.
"""


def integer_codes(samples, frontend):
    hop, window = frontend.hop, frontend.window
    starts = range(0, len(samples) - window + 1, hop)
    return [_frame([int(s) for s in samples[i:i + window]], frontend.tables) for i in starts]


def _round(x, s):
    return (x + (1 << (s - 1))) >> s if s >= 1 else x << -s


def _frame(s, tables):
    N, N2 = tables.points, tables.points // 16
    p = [x * w for x, w in zip(s, tables.window.tolist(), strict=True)]
    a = max(map(abs, p)).bit_length() - 14
    v = [_round(x, a) for x in p] + [0] * (N - len(p))
    assert max(map(abs, v)) <= 1 << 14

    cos, sin = tables.dft_first.tolist()
    A = [[_first(v[n2::N2], cos[k1], sin[k1]) for n2 in range(N2)] for k1 in range(9)]
    b = max(abs(part) for row in A for z in row for part in z).bit_length() - 14
    A = [[(_round(re, b), _round(im, b)) for re, im in row] for row in A]

    cos, sin = tables.twiddle.tolist()
    B = [[(_round(cos[k1][n2] * re + sin[k1][n2] * im, 15),
           _round(cos[k1][n2] * im - sin[k1][n2] * re, 15))
          for n2, (re, im) in enumerate(A[k1])] for k1 in range(9)]
    assert all(-32768 <= part <= 32767 for row in B for z in row for part in z)

    cos, sin = tables.dft_second.tolist()
    power = [0] * (N // 2 + 1)
    for k in range(N // 2 + 1):
        # Bins whose k1 is above 8 are the mirror images of those below.
        at = k if k % 16 <= 8 else N - k
        k1, k2 = at % 16, at // 16
        re = sum(cos[n2][k2] * x + sin[n2][k2] * y for n2, (x, y) in enumerate(B[k1]))
        im = sum(cos[n2][k2] * y - sin[n2][k2] * x for n2, (x, y) in enumerate(B[k1]))
        shift = 11 + N2.bit_length() - 1
        power[k] = _round(re, shift) ** 2 + _round(im, shift) ** 2
        assert power[k] < 1 << 38
    weights = tables.mel.T.tolist()
    return [_code(sum(x * w for x, w in zip(power, row, strict=True)), a + b, tables)
            for row in weights]


def _first(column, cos, sin):
    re = sum(x * c for x, c in zip(column, cos, strict=True))
    im = -sum(x * s for x, s in zip(column, sin, strict=True))
    assert abs(re) <= 1 << 33
    return _round(re, 15), _round(im, 15)


def _code(E, shifts, tables):
    assert E < 1 << 53
    if E == 0:
        return 0
    e = E.bit_length() - 1
    f = (E >> (e - 16) if e >= 16 else E << (16 - e)) & 0xffff
    i, r = f >> 10, f & 1023
    low, high = int(tables.log2[i]), int(tables.log2[i + 1])
    log = (e << 14) + low + _round((high - low) * r, 10)
    return min(max(_round(log, 6) + 512 * shifts + tables.offset, 0), 8191)
