import socket

import pytest

from audiomon.errors import UserError
from audiomon.link.page.access import COOKIE_S, GUESS_EVERY_S, MAX_GUESSES, Guesses, Names, Token

SECRET = "correct horse battery staple"


class Time:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8117", "127.0.0.1:8117", "[::1]:8117", "192.168.1.5", "[fd00::1]", "attic.example.org",
     "localhost.", socket.gethostname(), f"{socket.gethostname().partition('.')[0]}.local:80"],
)  # fmt: skip
def test_a_browser_may_call_it_by_its_own_names_and_by_addresses(host):
    assert Names(["attic.example.org"]).allow(host)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:80:80", "[::1", "[::1]x", "::1",
     "localhost:", "localhost:x", "user@localhost", "127.0.0.1/", "[evil.example]", "127.1.evil", "localhost:999999"],
)  # fmt: skip
def test_no_other_name_is_allowed_and_nothing_that_only_looks_like_one(host):
    assert not Names(["attic.example.org"]).allow(host)


def test_a_cookie_lets_in_until_it_expires_and_only_with_the_token_it_was_made_of():
    time = Time()
    token = Token(SECRET, time)
    cookie = token.cookie()
    assert SECRET not in cookie
    assert token.admits(cookie)
    assert not Token(SECRET + "!", time).admits(cookie)
    time.now_s += COOKIE_S + 1
    assert not token.admits(cookie)


@pytest.mark.parametrize("cookie", ["", ".", "9999999999.", "9999999999." + "0" * 64, "x" * 10_000, "９.９", "\ud800"])
def test_a_cookie_that_is_made_up_lets_nobody_in(cookie):
    assert not Token(SECRET).admits(cookie)


def test_a_longer_life_cannot_be_written_into_a_cookie():
    token = Token(SECRET, Time())
    expires, _, signature = token.cookie().partition(".")
    assert not token.admits(f"{int(expires) + 1}.{signature}")


def test_a_token_too_short_to_keep_anybody_out_is_refused():
    with pytest.raises(UserError, match="needs 16"):
        Token("secret")


def test_guesses_run_out_for_the_one_who_makes_them_and_come_back():
    time = Time()
    guesses = Guesses(time)
    for _ in range(MAX_GUESSES):
        assert guesses.may_try("192.168.1.5")
        guesses.failed("192.168.1.5")
    assert not guesses.may_try("192.168.1.5")
    assert guesses.may_try("192.168.1.6")
    time.now_s += GUESS_EVERY_S
    assert guesses.may_try("192.168.1.5")


def test_a_stranger_with_many_addresses_gets_no_more_guesses_in_one_network_nor_without_end():
    guesses = Guesses(Time())
    for number in range(MAX_GUESSES):
        guesses.failed(f"2001:db8::{number}")
    assert not guesses.may_try("2001:db8::ffff")
    assert guesses.may_try("2001:db8:1::1")
    tried = 0
    while guesses.may_try(f"10.0.{tried // 250}.{tried % 250}"):
        guesses.failed(f"10.0.{tried // 250}.{tried % 250}")
        tried += 1
        assert tried < 1000
