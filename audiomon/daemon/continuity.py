"""What a stream follows on: until when sound was heard before it, from which source, and what was reported meanwhile.

Remembers from one stream to the next. Opens nothing and reports nothing.
"""

import msgspec

from audiomon.audio.source import Identity
from audiomon.daemon.messages import Gap
from audiomon.pipeline.listener import FirstWindow
from audiomon.pipeline.losses import Losses


class _LastHeard(msgspec.Struct, frozen=True):
    """The source that was heard last.

    Attributes:
        device: what the settings said.
        identity: what it was.
    """

    device: str | int | None
    identity: Identity


class Continuity:
    """Accounts for the time between two streams, to the first window that is heard after it.

    Attributes:
        gone_reported: whether the source was reported gone, and has not been heard since.
    """

    def __init__(self) -> None:
        self.gone_reported = False
        self._other_reported = False
        self._last_heard: _LastHeard | None = None
        self._heard_until_ns: int | None = None
        self._following = Gap()

    @property
    def gap(self) -> Gap:
        """What a stream that begins now follows on."""
        return Gap(self._heard_until_ns, self.gone_reported)

    def begin(self) -> None:
        """Note that a stream begins."""
        self._following = self.gap

    def end(self, captured_ns: int) -> None:
        """Note until when a stream was heard.

        Args:
            captured_ns: monotonic time of its last sample; 0 if it had none.
        """
        if captured_ns:
            self._heard_until_ns = captured_ns

    def missed(self, first: FirstWindow) -> Losses:
        """Return what was missed before a window, the first of its stream; nothing is missed before the next one."""
        losses = self._following.losses(first)
        self._following = Gap()
        self._heard_until_ns = None
        return losses

    def heard(self, device: str | int | None, identity: Identity) -> None:
        """Note that a source is heard.

        Args:
            device: what the settings say.
            identity: what it is.
        """
        self.gone_reported = self._other_reported = False
        self._last_heard = _LastHeard(device, identity)

    def first_report_of_other(self) -> bool:
        """Return whether that another device is in its place has not been reported yet; from here on it has."""
        reported, self._other_reported = self._other_reported, True
        return not reported

    def first_report_of_gone(self) -> bool:
        """Return whether that the source is gone has not been reported yet; from here on it has."""
        reported, self.gone_reported = self.gone_reported, True
        return not reported

    def heard_for(self, device: str | int | None) -> Identity | None:
        """Return the source that was heard last, if the settings said the same of it; None otherwise."""
        last = self._last_heard
        return last.identity if last is not None and last.device == device else None

    def other_than(self, identity: Identity) -> str:
        """Return the name of the source that was heard last, if this is another one; empty otherwise."""
        last = self._last_heard
        return last.identity.name if last is not None and not identity.is_like(last.identity) else ""
