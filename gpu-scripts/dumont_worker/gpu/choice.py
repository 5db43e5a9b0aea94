"""Which codec gets this workspace into the store fastest: measured on a sample, then decided."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

CodecName = Literal["ans", "gzstd", "zstd", "none"]
BY_PORTABILITY: tuple[CodecName, ...] = ("zstd", "gzstd", "ans")
"""What `auto` may take. Both zstd restore anywhere, the CPU's needs nothing of the box; `none` is
measured for the table alone, for nobody who lets us choose wants to pay for more bytes."""
TIE = 1.15
"""A codec that restores in fewer places must be faster by more than this."""
SECONDS = 1.0
"""How long measuring may take in all."""

Sample = TypeVar("Sample")


@dataclass(frozen=True, slots=True)
class Measured:
    """What a codec made of `raw` bytes in `seconds`; `lanes` of it run side by side in a create."""

    codec: CodecName
    raw: int
    stored: int
    seconds: float
    lanes: int = 1

    @property
    def ratio(self) -> float:
        """Stored bytes for each raw byte."""
        return self.stored / self.raw

    @property
    def speed(self) -> float:
        """Raw bytes a second, of all lanes."""
        return self.raw * self.lanes / max(self.seconds, 1e-9)

    def until_stored(self, uplink: float) -> float:
        """Raw bytes a second that get through both codec and uplink (stored bytes a second)."""
        return min(self.speed, uplink / self.ratio)

    def fields(self) -> dict[str, Any]:
        """The row of a dry run's table."""
        shown: dict[str, Any] = {"codec": self.codec, "raw": self.raw, "stored": self.stored}
        return shown | {"seconds": round(self.seconds, 6), "lanes": self.lanes}


@dataclass(frozen=True, slots=True)
class Choice:
    """The codec to use, and why, in one line for the operator."""

    codec: CodecName
    why: str

    def fields(self) -> dict[str, Any]:
        """The `choice` of a result."""
        return {"codec": self.codec, "why": self.why}


def choose(measured: Sequence[Measured], uplink: float | None, sent: float | None = None) -> Choice:
    """Takes the most portable codec within 15 % of the fastest.

    `uplink` is what the box can send, in bytes a second; None: not measured, and then nothing
    speaks for giving up portability. `sent` is what got through with the most portable codec, if
    that was seen: what is missing to what codec and uplink allow, every codec will be short of.
    """
    found = {one.codec: one for one in measured if one.raw > 0 and one.stored > 0}
    candidates = [found[name] for name in BY_PORTABILITY if name in found]
    if not candidates:
        return Choice("zstd", "zstd: nothing was measured")
    if len(candidates) == 1:
        only = candidates[0]
        return Choice(only.codec, f"{only.codec}: no other codec runs on this box")
    first = candidates[0]
    if uplink is None or uplink <= 0:
        return Choice(first.codec, f"{first.codec}: the uplink has not been measured yet")
    rates = {one.codec: one.until_stored(uplink) for one in candidates}
    if sent:
        # Reading, packing and sending take their time of each byte, whatever codes it.
        besides = max(0.0, first.ratio / sent - 1 / rates[first.codec])
        rates = {codec: 1 / (1 / rate + besides) for codec, rate in rates.items()}
    best = max(rates.values())
    chosen = next(one for one in candidates if rates[one.codec] * TIE >= best)
    return Choice(chosen.codec, _explain(chosen, candidates, rates, uplink))


def _explain(
    chosen: Measured,
    candidates: Sequence[Measured],
    rates: Mapping[CodecName, float],
    uplink: float,
) -> str:
    shown = ", ".join(
        f"{one.codec} {_rate(rates[one.codec])} at {one.ratio:.2f}" for one in candidates
    )
    by_uplink = chosen.speed >= uplink / chosen.ratio
    limit = "the uplink is the limit" if by_uplink else "the codec is the limit"
    fastest = max(rates.values()) == rates[chosen.codec]
    reason = limit if fastest else f"within {TIE - 1:.0%} of the fastest and restores anywhere"
    return f"{chosen.codec}: {reason} ({shown}; uplink {_rate(uplink)})"


def _rate(rate: float) -> str:
    return f"{rate / 1e9:.2f} GB/s" if rate >= 1e9 else f"{rate / 1e6:.0f} MB/s"


@dataclass(frozen=True, slots=True)
class Contestant(Generic[Sample]):
    """A codec to measure: gives the stored bytes of a batch; `lanes` of it run in a create."""

    codec: CodecName
    encode: Callable[[Sequence[Sample]], int]
    lanes: int = 1


def measure(
    contestants: Sequence[Contestant[Sample]],
    batches: Sequence[Sequence[Sample]],
    length: Callable[[Sample], int],
    seconds: float = SECONDS,
    now: Callable[[], float] = time.monotonic,
) -> list[Measured]:
    """Runs each codec over batches until its share of `seconds` is over; at least over one batch.

    One that raises is left out of the table: whoever passes a GPU codec makes it `ready` first and
    hears from it why it is of no use.
    """
    table: list[Measured] = []
    for one in contestants:
        raw = stored = 0
        begun = now()
        try:
            for batch in batches:
                stored += one.encode(batch)
                raw += sum(length(sample) for sample in batch)
                if now() - begun >= seconds / len(contestants):
                    break
        # Whatever cannot do the sample cannot do the rest.
        except Exception as error:
            print(f"{one.codec} could not be measured: {error}", file=sys.stderr)
        else:
            table.append(Measured(one.codec, raw, stored, now() - begun, one.lanes))
    return table
