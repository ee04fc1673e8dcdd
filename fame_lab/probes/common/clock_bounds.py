"""Bounds on a one-way delay between two clocks of unknown offset.

A writer reads its clock (``store``) and sends, a reader reads its own at first sight (``sight``) and
answers, the writer reads its clock when the answer is there (``answer``). The sight lies between the two,
so the reader's clock is ahead of the writer's by no less than sight - answer and no more than sight - store
(Cristian, *Probabilistic clock synchronization*, Distributed Computing 3, 1989; the same bounds are behind
NTP's: Mills, *Internet time synchronization*, IEEE Trans. Communications 39, 1991). Other exchanges bound
the same offset, more loosely by the drift that is possible in between. The tightest of all these bounds on
the offset at an exchange bounds its one-way delay.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fame_lab.errors import ProbeError

__all__ = ["Exchanges", "Times"]

Times = npt.NDArray[np.int64]
Nanoseconds = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Exchanges:
    """Exchanges in the order in which they happened.

    Parameters
    ----------
    store, sight, answer : ndarray of shape (exchange,)
        Nanoseconds: by the writer's, the reader's, and again the writer's clock.
    writer_step, reader_step : float
        Nanoseconds by which a reading may lag: no more than a step of that clock.
    """

    store: Times
    sight: Times
    answer: Times
    writer_step: float
    reader_step: float

    @property
    def round_trip(self) -> Nanoseconds:
        """From before the store to after the answer, by the writer's clock."""
        return (self.answer - self.store).astype(float)

    def one_way(self, max_drift: float) -> tuple[Nanoseconds, Nanoseconds]:
        """Bound the time from each store to its sight, by all exchanges.

        Parameters
        ----------
        max_drift : float
            The assumption: the offset changes by no more than this share of the time that passes, by the
            reader's clock.

        Returns
        -------
        low, high : ndarray of shape (exchange,)
            Nanoseconds by the writer's clock, never narrower than proved; 0 <= low <= high <= round trip.

        Raises
        ------
        ProbeError
            If the exchanges contradict each other: the clocks drift faster than was taken for granted.
        """
        apparent = self.sight - self.store
        # The clocks count from each node's boot. One origin, subtracted from all, keeps the differences
        # small enough for floating point to be exact.
        origin = apparent[0]
        low, high = self._offset(int(origin), max_drift)
        way = (apparent - origin).astype(float)
        least = np.clip(way - high - self.writer_step, 0, self.round_trip)
        most = np.clip(way - low + self.reader_step, 0, self.round_trip)
        return least, most

    def _offset(self, origin: int, max_drift: float) -> tuple[Nanoseconds, Nanoseconds]:
        """Bound how far the reader's clock was ahead of the writer's at each sight, less `origin`."""
        low = (self.sight - self.answer - origin).astype(float) - self.writer_step
        high = (self.sight - self.store - origin).astype(float) + self.reader_step
        drift = max_drift * (self.sight - self.sight[0]).astype(float)
        low, high = _tighten(low, drift), -_tighten(-high, drift)
        if (low > high).any():
            at = int(np.argmax(low - high))
            raise ProbeError(
                f"the two clocks contradict each other by {low[at] - high[at]:.0f} ns at exchange {at}: they "
                f"drift faster than max_drift = {max_drift:g} allows, or one was set",
                hint="give a larger one",
            )
        return low, high


def _tighten(low: Nanoseconds, drift: Nanoseconds) -> Nanoseconds:
    """Return the highest lower bound at each point. A bound at another point counts, less the drift."""
    back = drift[-1] - drift
    earlier: Nanoseconds = np.maximum.accumulate(low + drift) - drift
    later: Nanoseconds = np.maximum.accumulate((low + back)[::-1])[::-1] - back
    return np.maximum(earlier, later)
