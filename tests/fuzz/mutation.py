"""Damage, by the number: the same seed and number always give the same bytes."""

import random
import re
from collections.abc import Callable, Sequence

_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?")
_EXTREMES = (
    b"0", b"-0", b"-1", b"1e308", b"1e999", b"-1e999", b"1e-400", b".inf", b".nan", b"9" * 39, b"9" * 6000,
    b"0x7fffffff", b"2147483648", b"18446744073709551616", b"0.1e", b"1_000", b"0o17", b"+.5", b"10000000", b"1e-37",
    b"192001",
)  # fmt: skip
_WORDS = tuple(value.to_bytes(4, order) for value in (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 1 << 24)
               for order in ("little", "big"))  # fmt: skip
_LONGEST = 1 << 16


def mutated(number: int, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Damage one of the seeds in one to eight ways."""
    rng = random.Random(number)
    data = bytearray(rng.choice(seeds))
    for _ in range(min(8, int(rng.expovariate(0.4)) + 1)):
        rng.choice(_WAYS)(data, rng, seeds, tokens)
        del data[_LONGEST:]
    return bytes(data)


_Rng = random.Random
_Parts = Sequence[bytes]


def _bit(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _byte(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 0xFF, 0x7F, 0x80, 10, rng.randrange(256)))


def _word(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    at = rng.randrange(len(data) + 1)
    data[at : at + 4] = rng.choice(_WORDS)


def _cut(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    at = rng.randrange(len(data) + 1)
    del data[at : at + rng.choice((1, 2, 4, 16, 256, _LONGEST))]


def _repeat(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = data[at : at + rng.randrange(1, 64)] * rng.choice((1, 2, 50))


def _splice(data: bytearray, rng: _Rng, seeds: _Parts, _tokens: _Parts) -> None:
    other = rng.choice(seeds)
    data[rng.randrange(len(data) + 1) :] = other[rng.randrange(len(other) + 1) :]


def _token(data: bytearray, rng: _Rng, _seeds: _Parts, tokens: _Parts) -> None:
    at = rng.randrange(len(data) + 1)
    data[at : at + rng.choice((0, 0, 1, 5))] = rng.choice(tokens)


def _number(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    numbers = list(_NUMBER.finditer(data))
    if numbers:
        found = rng.choice(numbers)
        data[found.start() : found.end()] = rng.choice(_EXTREMES)


def _value(data: bytearray, rng: _Rng, _seeds: _Parts, tokens: _Parts) -> None:
    """Put something else after a colon."""
    lines = data.split(b"\n")
    keyed = [index for index, line in enumerate(lines) if b": " in line]
    if keyed:
        index = rng.choice(keyed)
        lines[index] = lines[index].split(b": ")[0] + b": " + rng.choice((*tokens, *_EXTREMES))
        data[:] = b"\n".join(lines)


def _line(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    """Double, drop, move or indent a line."""
    lines = data.split(b"\n")
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(4):
        case 0:
            lines.insert(to, lines[at])
        case 1:
            del lines[at]
        case 2:
            lines[at], lines[to] = lines[to], lines[at]
        case _:
            lines[at] = rng.choice((b" ", b"  ", b"\t", b"- ")) + lines[at]
    data[:] = b"\n".join(lines)


def _encoding(data: bytearray, rng: _Rng, _seeds: _Parts, _tokens: _Parts) -> None:
    if rng.random() < 0.2:  # it spoils the whole text
        data[:] = data.decode("latin-1").encode(rng.choice(("utf-16", "utf-16-be", "utf-32", "utf-8-sig")))


_WAYS: tuple[Callable[[bytearray, _Rng, _Parts, _Parts], None], ...] = (
    _bit, _byte, _word, _cut, _repeat, _splice, _token, _number, _value, _line, _encoding,
)  # fmt: skip
