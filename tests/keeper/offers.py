"""Offers as a listener makes them, with real sound in a sealed file in memory."""

import os

import msgspec
import numpy as np

from audiomon.keeper.settings import KeeperConfig
from audiomon.keeper.store import Store
from audiomon.outputs.clip_handover import flac_in_memory
from audiomon.outputs.clip_protocol import PROTOCOL, Answer, Offer, OfferedEvent, OfferedSound
from audiomon.pipeline.clips import Clip

RATE = 8000
DAY_NS = 86_400_000_000_000
NOW_NS = 1_790_000_000_000_000_000
NOISE = np.random.default_rng(1).integers(-20_000, 20_000, 2 * RATE).astype(np.int16)  # 24 kB
ROOMY = KeeperConfig(min_free_mb=0)


def event(label: str = "dog_bark", time_ns: int = NOW_NS) -> OfferedEvent:
    return OfferedEvent(label, time_ns, 0.9, 1.5)


def offer(*events: OfferedEvent, instance: str = "audiomon", **more) -> Offer:
    return Offer(PROTOCOL, instance, "usb mic", "home", "f" * 64, events or (event(),), **more)


def sound(file: int, samples: np.ndarray, time_ns: int) -> OfferedSound:
    return OfferedSound(os.fstat(file).st_size, RATE, len(samples), 0, time_ns - 10**9, 0.01, "speech")


def keep(
    store: Store, *events: OfferedEvent, samples: np.ndarray = NOISE, said: dict[str, int] | None = None
) -> Answer:
    """Have a clip kept, as it is handed over."""
    made = offer(*events)
    file = flac_in_memory(Clip(samples, RATE, 0, 0, (), "", "", "", 0.0, ""))
    try:
        described = sound(file, samples, made.events[0].time_ns)
        return store.keep(msgspec.structs.replace(made, sound=msgspec.structs.replace(described, **(said or {}))), file)
    finally:
        os.close(file)


def opened(folder, config: KeeperConfig = ROOMY, *, now_ns: int = NOW_NS, clock_is_set: bool = True) -> Store:
    return Store(folder, config, time_ns=lambda: now_ns, clock_is_set=lambda: clock_is_set)


def files(store_folder) -> set[str]:
    return {path.stem for path in store_folder.glob("clips/*/*.flac")}
