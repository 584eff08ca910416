"""Gives listeners what a camera or a radio sends: ``python -m audiomon.sources NAME [SOCKET]``.

systemd passes the socket and the address: a credential, from /etc/credstore/audiomon.source-NAME. Without systemd the
socket is made at SOCKET, and the address is the file ``address`` in $CREDENTIALS_DIRECTORY.
"""

import resource
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from audiomon.credentials import STORE, credential
from audiomon.errors import AudiomonError, UserError
from audiomon.foreign import shown
from audiomon.outputs.listening_sockets import make_socket, passed_socket
from audiomon.sources.address import Address, read_address
from audiomon.sources.relay import Relay, refuse_all

# Started by the next listener: one that nobody listens to costs nothing.
_IDLE_S = 60.0
# A new start, which reads the address once more, costs more than a refusal; a listener asks about once a second.
_REFUSING_S = 10.0


def main() -> int:
    """Serve until nobody listens any more, or a signal comes."""
    name = shown(sys.argv[1], 64) if len(sys.argv) > 1 else ""

    def say(what: str) -> None:
        print(f"{name}: {what}", file=sys.stderr, flush=True)

    # A picture of this process, or of ffmpeg, would hold the password.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGTERM, _stop)
    passed = None
    try:
        passed = passed_socket("source")
        if passed is None and len(sys.argv) < 3:
            raise UserError("systemd passes no socket: start audiomon-source@NAME.socket, or name a socket")
        relay = Relay(_address(name), say)
        try:
            relay.serve(passed or make_socket(Path(sys.argv[2])), _IDLE_S if passed else None)
        finally:
            relay.end()
    except AudiomonError as error:
        say(str(error))
        if passed is not None:
            refuse_all(passed, str(error), _REFUSING_S)
        return error.exit_status
    except KeyboardInterrupt:
        return 130
    return 0


def _address(name: str) -> Address:
    text = credential("address")
    place = STORE / f"audiomon.source-{name}"
    if text is None:
        raise UserError(f"there is no address: write it into {place}, readable by root only")
    try:
        return read_address(text)
    except UserError as error:
        raise UserError(error.reason, path=place) from None


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
