"""Fetching a model file over HTTPS: from a real server with a certificate of its own, and every fault of its kind."""

import fcntl
import hashlib
import random
import shutil

import pytest

from audiomon.errors import ModelError, UserError
from audiomon.models.importing.catalogue import CATALOGUE, published
from audiomon.models.importing.download import download
from tests.models.https_server import Server, make_certificate

CONTENT = random.Random(1).randbytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the server's certificate")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    make_certificate(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(folder / "server.crt"))
        for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            patched.delenv(name, raising=False)
        server = Server(folder, CONTENT)
        yield server
        server.close()


@pytest.fixture
def partial(tmp_path):
    return tmp_path / ".model.part"


def fetch(address, partial, sha256=SHA256, max_bytes=1 << 20):
    seen = []
    content = download(address, sha256, partial, max_bytes=max_bytes, progress=lambda *progress: seen.append(progress))
    return content, seen


def refusal(*arguments, **options) -> str:
    with pytest.raises((ModelError, UserError)) as caught:
        fetch(*arguments, **options)
    return str(caught.value)


@needs_openssl
@pytest.mark.parametrize("path", ["/whole", "/stubborn", "/chunked", "/moved"])
def test_a_file_is_fetched_whole_and_nothing_is_left_of_the_download(server, partial, path):
    content, seen = fetch(server.address(path), partial)
    assert content == CONTENT
    assert seen[-1] == (len(CONTENT), None if path == "/chunked" else len(CONTENT))
    assert not partial.exists()


@needs_openssl
def test_what_was_interrupted_is_continued_by_the_same_command(server, partial):
    assert "interrupted after 150000 bytes; the same command continues it" in refusal(server.address("/cut"), partial)
    assert partial.read_bytes() == CONTENT[:150_000]
    server.requests.clear()
    assert fetch(server.address("/cut"), partial)[0] == CONTENT
    assert server.requests == [("/cut", "bytes=150000-")]


@needs_openssl
def test_a_file_of_no_said_length_that_breaks_off_is_another_file(server, partial):
    assert "is not the file that it should be" in refusal(server.address("/chunked-cut"), partial)
    assert not partial.exists()


@needs_openssl
def test_a_server_that_sends_no_parts_sends_it_all_again(server, partial):
    partial.write_bytes(CONTENT[:1000])
    assert fetch(server.address("/stubborn"), partial)[0] == CONTENT


@needs_openssl
@pytest.mark.parametrize("there", [b"of another file", CONTENT + b"too much"])
def test_a_beginning_that_belongs_to_another_file_is_fetched_again_once(server, partial, there):
    partial.write_bytes(there)
    server.requests.clear()
    assert fetch(server.address("/whole"), partial)[0] == CONTENT
    assert [asked for _, asked in server.requests] == [f"bytes={len(there)}-", ""]


@needs_openssl
def test_what_came_whole_before_it_was_interrupted_needs_no_network(server, partial):
    partial.write_bytes(CONTENT)
    server.requests.clear()
    assert fetch(server.address("/whole"), partial)[0] == CONTENT
    assert not server.requests


@needs_openssl
@pytest.mark.parametrize("path", ["/whole", "/moved", "/chunked"])
def test_another_file_than_the_one_expected_is_refused_and_not_kept(server, partial, path):
    said = refusal(server.address(path), partial, sha256="0" * 64)
    assert said.endswith(f"is not the file that it should be: its SHA-256 is not {'0' * 64}")
    assert not partial.exists()


@needs_openssl
@pytest.mark.parametrize("path", ["/huge", "/endless"])
def test_a_file_that_is_too_large_is_refused_before_it_fills_the_disk(server, partial, path):
    assert refusal(server.address(path), partial).endswith("is larger than 1 MiB")
    assert not partial.exists()


@needs_openssl
@pytest.mark.parametrize("path", ["/away", "/file"])
def test_a_redirect_to_anything_but_https_is_refused(server, partial, path):
    said = refusal(server.address(path), partial)
    assert "which is not HTTPS" in said or "is not allowed" in said
    assert not partial.exists()


@needs_openssl
def test_another_part_than_was_asked_for_is_refused(server, partial):
    partial.write_bytes(CONTENT[:1000])
    assert "another part of it than was asked for" in refusal(server.address("/other-part"), partial)


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_is_refused(server, partial, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null")
    assert "certificate verify failed" in refusal(server.address("/whole"), partial)


@needs_openssl
def test_what_the_server_refuses_is_said_in_its_words(server, partial):
    assert refusal(server.address("/absent"), partial).endswith("the server says 404 Not Found")


@needs_openssl
def test_two_downloads_of_one_file_do_not_write_over_each_other(server, partial):
    with partial.open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "is being fetched by another process" in refusal(server.address("/whole"), partial)


def test_a_link_in_the_way_is_not_written_through(partial, tmp_path):
    partial.symlink_to(tmp_path / "victim")
    assert "cannot be written: " in refusal("https://localhost:1/model", partial)
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    "address",
    ["http://localhost/model", "ftp://localhost/", "file:///etc/passwd", "https://", "https:///x", "https://ü"],
)
def test_only_addresses_of_https_are_taken(partial, address):
    assert refusal(address, partial).endswith("is not an address that begins with https://")


@pytest.mark.parametrize("sha256", ["", "10c95ea3", "g" * 64, "0" * 65])
def test_a_checksum_has_64_digits(partial, sha256):
    assert "is not a SHA-256" in refusal("https://localhost:1/model", partial, sha256=sha256)
    assert not partial.exists()


def test_a_host_that_is_not_there_is_one_clear_line(partial):
    said = refusal("https://localhost:1/model", partial)
    assert said == "https://localhost:1/model: cannot be fetched: [Errno 111] Connection refused"
    assert not partial.exists()


def test_every_model_of_the_catalogue_is_described_and_found_by_its_name():
    for model in CATALOGUE:
        assert published(model.name) is model
        assert model.address.startswith("https://")
        assert len(model.sha256) == 64
        assert model.license
        assert model.good_for
    with pytest.raises(UserError, match="there is no model 'absent' in the catalogue; there are: yamnet"):
        published("absent")
