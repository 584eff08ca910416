"""Reports once that the model is too slow and windows are shed, and once more, with the numbers, when that is over."""

from audiomon.clock import Clock
from audiomon.pipeline.accounts import Fates
from audiomon.pipeline.pace import Pace
from audiomon.pipeline.prediction import Status, StatusKind

# A model that is a little too slow sheds a window only now and then: at 5 %, one in twenty.
_OVER_AFTER_NS = 30_000_000_000


class Overload:
    """Keeps track of a spell in which windows are shed.

    Args:
        sample_rate: of the source, in Hz.
        clock: times and dates the statuses.
    """

    def __init__(self, sample_rate: int, clock: Clock) -> None:
        self._sample_rate = sample_rate
        self._clock = clock
        self._began_ns: int | None = None
        self._last_ns = 0
        self._windows = 0
        self._frames = 0

    def note(self, fates: Fates, pace: Pace, model: str) -> Status | None:
        """Take in what came before a prediction; return what is to be said of it, if anything."""
        if fates.windows_shed:
            self._last_ns = self._clock.monotonic_ns()
            self._windows += fates.windows_shed
            self._frames += fates.shed
            if self._began_ns is None:
                self._began_ns = self._last_ns
                return self._too_slow(pace, model)
        elif self._began_ns is not None and self._clock.monotonic_ns() - self._last_ns > _OVER_AFTER_NS:
            return self.finish(f"{model} keeps up again")
        return None

    def finish(self, why: str) -> Status | None:
        """Return the numbers of what is over, if something was going on.

        Args:
            why: it is over.
        """
        if self._began_ns is None:
            return None
        seconds, lasted_s = self._frames / self._sample_rate, (self._last_ns - self._began_ns) / 1e9
        windows, frames = self._windows, self._frames
        self._began_ns, self._windows, self._frames = None, 0, 0
        return Status(
            StatusKind.KEEPS_UP,
            f"{why}: {windows} windows were shed within {lasted_s:.1f} s, {frames} samples ({seconds:.2f} s) unheard",
            self._clock.time_ns(),
            {"windows_shed": windows, "shed": frames, "shed_s": round(seconds, 6), "lasted_s": round(lasted_s, 3)},
        )

    def _too_slow(self, pace: Pace, model: str) -> Status:
        return Status(
            StatusKind.TOO_SLOW,
            f"{model} is {pace.too_slow:.2f} times too slow here: a window takes {pace.cost_s:.3f} s, and there is one "
            f"every {pace.hop_s:.3f} s; until it keeps up, the oldest are shed",
            self._clock.time_ns(),
            {
                "model": model,
                "cost_s": round(pace.cost_s, 6),
                "hop_s": round(pace.hop_s, 6),
                "times_too_slow": round(pace.too_slow, 3),
            },
            "warning",
        )
