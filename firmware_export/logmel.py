"""The log-mel frontend as C: its tables, and its calls."""

from dataclasses import dataclass

from edgernn.frontend.compact import LogMelConstants
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
    int32_t filled_begun[2];
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
    memory.filled_begun = frontend->filled_begun;
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


WHATS = {"window": "half of a Hann window, Q15", "quarter": "cos, a quarter of a circle, Q15",
         "cosines": "cos of the second stage, Q15",
         "rise": "weight of each bin in the filter that rises, Q12",
         "bins": "bins from one filter's middle to the next's"}


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
    constants = LogMelConstants.of(spec)
    texts = [ctext.array(f"logmel_{field}", values, what=WHATS[field])
             for field, values in constants.arrays.items()]
    fields: dict[str, str | int] = {field: f"logmel_{field}" for field in constants.arrays}
    fields |= constants.numbers
    points, table_bytes = constants.numbers["points"], constants.table_bytes
    values = {"name": name, "mels": spec.mels, "rate": spec.sample_rate_hz,
              "hop": constants.numbers["hop"], "window": constants.numbers["length"],
              "work": points + points // 8, "table_bytes": f"{table_bytes:,}",
              "arrays": "\n".join([*texts, ctext.struct("ernn_logmel_t", "logmel", fields)])}
    return LogMelText(fill(HEADER, values), fill(SOURCE, values), table_bytes)
