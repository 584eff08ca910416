"""How a key of a settings file is described."""

from typing import Any, Literal

from msgspec import Meta

Reload = Literal["live", "reopen", "restart"]


def key(description: str, reload: Reload, **bounds: Any) -> Meta:
    """Describe a key, and what it takes to apply a change of it.

    Args:
        description: one sentence, with the unit.
        reload: ``live``: nothing is interrupted; ``reopen``: the microphone is closed and opened again;
            ``restart``: the program must be restarted.
        bounds: what `msgspec.Meta` takes: ge, le, min_length …
    """
    return Meta(description=description, extra_json_schema={"x-reload": reload}, **bounds)
