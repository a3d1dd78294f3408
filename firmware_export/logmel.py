"""The log-mel frontend as C: its tables, and its calls."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgernn.errors import ModelError
from edgernn.frontend.tables import (
    FIRST,
    WEIGHT_BITS,
    LogMelTables,
    circle,
    lengths,
    make_tables,
)
from edgernn.spec import LogMelSpec
from firmware_export import ctext
from firmware_export.template import fill

HEADER = """
/* ---- from samples to log-mel codes ------------------------------------------------- */

#define @NAME@_MELS @mels@ /* codes of a row */
#define @NAME@_SAMPLE_RATE @rate@ /* Hz */
#define @NAME@_HOP @hop@ /* samples from one row to the next */
#define @NAME@_WINDOW @window@ /* samples that the first row needs */

/* What the frontend remembers.  Yours to allocate; one per stream. */
typedef struct {
    int32_t count[2];
    int32_t work[@work@]; /* no meaning between calls */
    int16_t samples[@NAME@_WINDOW];
} @name@_logmel;

/* Forget all samples. */
void @name@_logmel_reset(@name@_logmel *frontend);

/* Hear int16 samples up to the one that completes the next row; gives how many that were.
 * *ready is then 1 and `codes` the row; if n were too few, *ready is 0.  Push the rest again:
 * how audio is cut never changes the rows. */
size_t @name@_logmel_push(@name@_logmel *frontend, const int16_t *samples, size_t n,
                  int16_t codes[@NAME@_MELS], int *ready);

/* End the stream: gives 1 and the row of a clip shorter than a window, if it was one, else 0. */
int @name@_logmel_flush(@name@_logmel *frontend, int16_t codes[@NAME@_MELS]);
"""

SOURCE = """
/* ---- the frontend: @table_bytes@ bytes of tables ----------------------------------- */

@arrays@
static ernn_logmel_memory_t samples_of(@name@_logmel *frontend)
{
    ernn_logmel_memory_t memory;
    memory.count = frontend->count;
    memory.samples = frontend->samples;
    memory.work = frontend->work;
    return memory;
}

void @name@_logmel_reset(@name@_logmel *frontend)
{
    ernn_logmel_reset(samples_of(frontend));
}

size_t @name@_logmel_push(@name@_logmel *frontend, const int16_t *samples, size_t n,
                  int16_t codes[@NAME@_MELS], int *ready)
{
    return ernn_logmel_push(&logmel, samples_of(frontend), samples, n, codes, ready);
}

int @name@_logmel_flush(@name@_logmel *frontend, int16_t codes[@NAME@_MELS])
{
    return ernn_logmel_flush(&logmel, samples_of(frontend), codes);
}
"""


@dataclass(frozen=True)
class LogMelText:
    """A log-mel frontend as C text, and what it takes."""

    header: str
    source: str
    table_bytes: int
    """Constants, in flash; those that all frontends share are part of the code."""


def logmel_text(name: str, spec: LogMelSpec) -> LogMelText:
    """The C of a log-mel frontend.

    Parameters
    ----------
    name : str
        What its functions begin with.
    spec : LogMelSpec

    Raises
    ------
    ConfigError
        If the spec makes no sense.
    ModelError
        If its tables have no compact form; no spec is known that has none.
    """
    tables, (window, hop) = make_tables(spec), lengths(spec)
    mel = MelRuns.of(tables)
    half, greater = half_window(tables.window)
    quarter = circle(np.arange(tables.points // 4 + 1), tables.points)[0]
    arrays = {"window": half, "quarter": quarter, "circle": tables.dft_second[0, 1],
              "rise": mel.rise, "bins": mel.bins}
    fields: dict[str, str | int] = {field: f"logmel_{field}" for field in arrays}
    fields |= {"length": window, "greater": greater, "hop": hop, "points": tables.points,
               "mels": spec.mels, "first_bin": mel.first_bin, "offset": tables.offset}
    texts = [ctext.array(f"logmel_{field}", values, what=what)
             for (field, values), what in zip(arrays.items(), _WHATS, strict=True)]
    table_bytes = sum(values.nbytes for values in arrays.values())
    values = {"name": name, "mels": spec.mels, "rate": spec.sample_rate_hz, "hop": hop,
              "window": window, "work": tables.points + max(tables.points // 8, 2 * FIRST),
              "table_bytes": f"{table_bytes:,}",
              "arrays": "\n".join([*texts, ctext.struct("ernn_logmel_t", "logmel", fields)])}
    return LogMelText(fill(HEADER, values), fill(SOURCE, values), table_bytes)


_WHATS = ("half of a Hann window, Q15", "cos, a quarter of a circle, Q15", "cos, a circle, Q15",
          "weights of the filter that rises, Q12", "bins from one filter's middle to the next's")


@dataclass(frozen=True)
class MelRuns:
    """Mel weights by bin: between the middles of two filters one rises as the other falls."""

    rise: NDArray[np.uint16]
    """Weight of each bin in the filter that rises, Q12; in the one that falls, 4096 less that."""
    bins: NDArray[np.uint16]
    """How many bins lie before the middle of filter 0, 1, .., and after that of the last."""
    first_bin: int

    @classmethod
    def of(cls, tables: LogMelTables) -> "MelRuns":
        """From a whole matrix.

        Raises
        ------
        ModelError
            If two filters do not add up to 4096 at a bin.
        """
        whole, one = tables.mel, 1 << WEIGHT_BITS
        mels = whole.shape[1]
        heard = np.flatnonzero(whole.any(axis=1))
        at = np.arange(heard[0], heard[-1] + 1)
        # The highest filter that hears a bin rises there; past its middle the last one falls.
        rising = mels - 1 - np.argmax(whole[at, ::-1] > 0, axis=1)
        rise = whole[at, rising]
        falls = (rising == mels - 1) & (rise < one) & (whole[at, mels - 2] == 0)
        rise = np.where(falls, one - rise, rise).astype(np.uint16)
        rising = np.where(falls, mels, rising)
        found = cls(rise, np.bincount(rising, minlength=mels + 1).astype(np.uint16),
                    int(at[0]))
        if not np.array_equal(found.matrix(whole.shape), whole):
            raise ModelError("two mel filters do not add up to 1 at a bin; such filters were "
                             "needed for the C frontend. Move low_hz or high_hz by 1 Hz and train "
                             "again")
        return found

    def matrix(self, shape: tuple[int, ...]) -> NDArray[np.int16]:
        """Weight of each bin in each filter: what the C adds up, of `LogMelTables.mel`'s shape."""
        whole = np.zeros((shape[0], shape[1] + 2), np.int16)
        at = self.first_bin + np.arange(len(self.rise))
        rising = np.repeat(np.arange(len(self.bins)), self.bins)
        whole[at, rising + 1] = self.rise
        whole[at, rising] = (1 << WEIGHT_BITS) - self.rise
        return whole[:, 1:-1]


def half_window(window: NDArray[np.int16]) -> tuple[NDArray[np.int16], int]:
    """The first half of a window, middle included, and the place of the value that is greater.

    At a quarter and three quarters of its length a Hann window is 16383.5, which rounds up on
    one side where the cosine is a hair off: one value may be 1 more than its mirror image.

    Raises
    ------
    ModelError
        If more than that differs.
    """
    half = window[:len(window) // 2 + 1]
    mirrored = np.concatenate([half, half[1:(len(window) + 1) // 2][::-1]])
    unequal = np.flatnonzero(window != mirrored)
    if not unequal.size:
        return half, -1
    place = int(unequal[0])
    if unequal.size == 1 and window[place] == mirrored[place] + 1:
        return half, place
    if unequal.size == 1 and window[place] == mirrored[place] - 1:
        # The greater one is in the first half.
        half = half.copy()
        half[len(window) - place] -= 1
        return half, len(window) - place
    raise ModelError(f"a window of {len(window)} samples is not symmetric at {unequal.size} "
                     "places; 0 or 1 was needed for the C frontend. Choose another window_ms")
