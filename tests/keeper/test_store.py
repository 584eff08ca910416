"""The keeper's folder: whole clips or none, an index that agrees with it, and no more room than it may have."""

import errno
import os
import sqlite3
import subprocess

import numpy as np
import pytest
import soundfile

from audiomon.errors import UserError
from audiomon.keeper import store as store_module
from audiomon.keeper.settings import KeeperConfig
from audiomon.keeper.store import Store
from tests.keeper.offers import DAY_NS, NOISE, NOW_NS, RATE, event, files, keep, offer, opened


@pytest.fixture
def store(tmp_path):
    made = opened(tmp_path)
    yield made
    made.close()


def listed(store: Store, **more) -> list:
    arguments = {"labels": (), "only": "all", "since_ns": 0, "before": None, "limit": 1000} | more
    return store.index.events(*arguments.values())


def test_a_clip_is_written_bit_for_bit_and_listed_with_its_events(store):
    answer = keep(store, event("dog_bark"), event("baby_cry", NOW_NS + 1))
    assert answer.kept
    samples, rate = soundfile.read(store.path(answer.clip), dtype="int16")
    np.testing.assert_array_equal(samples, NOISE)
    assert rate == RATE
    cry, bark = listed(store)
    assert (bark.label, cry.label, bark.outcome) == ("dog_bark", "baby_cry", "kept")
    assert bark.clip == cry.clip
    assert (bark.clip.id, bark.clip.labels, bark.clip.samples) == (answer.clip, ("dog_bark", "baby_cry"), len(NOISE))
    assert store.path(answer.clip).stat().st_mode & 0o777 == 0o600


def test_an_event_without_a_clip_is_listed_with_the_reason(store):
    assert store.keep(offer(reason="never", detail="speech 0.41"), None).kept
    (found,) = listed(store)
    assert (found.clip, found.outcome, found.reason) == (None, "refused", "speech 0.41")
    assert store.index.counts() == {"refused never": 1}


def test_what_is_offered_twice_is_kept_once(store, tmp_path):
    first, second = keep(store), keep(store)
    assert first == second
    assert files(tmp_path) == {first.clip}
    for _ in range(2):
        store.keep(offer(event("rain"), reason="busy"), None)
    assert len(listed(store)) == 2


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"bytes": 12}, "another size"),
        ({"samples": len(NOISE) + 1}, "not the FLAC"),
        ({"sample_rate": 44_100}, "not the FLAC"),
    ],
)
def test_sound_that_is_not_what_it_says_is_refused(store, tmp_path, more, said):
    answer = keep(store, said=more)
    assert not answer.kept
    assert said in answer.reason
    assert files(tmp_path) == set()
    assert listed(store) == []


def test_sound_that_could_still_be_changed_is_refused(store):
    file = os.memfd_create("clip", os.MFD_ALLOW_SEALING)
    os.write(file, b"fLaC" + bytes(100))
    from tests.keeper.offers import sound

    answer = store.keep(offer(sound=sound(file, NOISE, NOW_NS)), file)
    os.close(file)
    assert (answer.kept, answer.reason) == (False, "its sound is no sealed file in memory")
    assert not store.keep(offer(sound=sound(1, NOISE, NOW_NS)), None).kept


@pytest.mark.parametrize("labels", [[], ["x" * 201], ["x"] * 51])
def test_an_offer_of_no_event_or_too_many_is_refused(store, labels):
    import msgspec

    made = msgspec.structs.replace(offer(), events=tuple(event(label) for label in labels))
    assert not store.keep(made, None).kept


@pytest.mark.parametrize("failure", ["copy_to_disk", "_bring_to_disk"])
def test_a_disk_that_fails_leaves_nothing_half(store, tmp_path, monkeypatch, failure):
    def fails(*_):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(store_module, failure, fails)
    answer = keep(store)
    assert (answer.kept, answer.reason) == (False, "the disk is full")
    assert files(tmp_path) == set()
    assert list((tmp_path / "incoming").iterdir()) == []
    assert listed(store) == []


def test_an_index_that_cannot_be_written_leaves_no_file(store, tmp_path, monkeypatch):
    def fails(*_):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store.index, "add", fails)
    assert not keep(store).kept
    assert files(tmp_path) == set()


def test_a_start_removes_what_no_entry_names_and_entries_whose_file_is_gone(tmp_path):
    store = opened(tmp_path)
    kept, gone = keep(store), keep(store, event("rain", NOW_NS + DAY_NS))
    store.path(gone.clip).unlink()
    (tmp_path / "incoming" / "half").write_bytes(b"fLaC")
    (tmp_path / "clips" / "20260101").mkdir()
    (tmp_path / "clips" / "20260101" / "20260101-000000-abc.flac").write_bytes(b"fLaC")
    store.close()
    store = opened(tmp_path)
    assert files(tmp_path) == {kept.clip} == store.index.all_clips()
    assert list((tmp_path / "incoming").iterdir()) == []
    assert [(one.label, one.outcome) for one in listed(store)] == [("rain", "missing"), ("dog_bark", "kept")]
    store.close()


def test_clips_whose_index_is_gone_are_not_deleted(tmp_path):
    store = opened(tmp_path)
    clip = keep(store).clip
    store.close()
    for path in tmp_path.glob("index.sqlite*"):
        path.unlink()
    for _ in range(2):
        with pytest.raises(UserError, match="1 clips without an index"):
            opened(tmp_path)
    assert files(tmp_path) == {clip}


def test_a_damaged_index_is_said_in_one_line(tmp_path):
    (tmp_path / "index.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(UserError, match="is damaged"):
        opened(tmp_path)


def test_two_keepers_do_not_share_a_folder(store, tmp_path):
    with pytest.raises(UserError, match="another keeper has this folder"):
        opened(tmp_path)


def aged(store: Store, count: int, label: str = "dog_bark") -> list[str]:
    return [keep(store, event(label, NOW_NS - (count - n) * DAY_NS)).clip for n in range(count)]


def test_clips_are_deleted_when_they_are_old_and_their_events_stay(store, tmp_path):
    clips = aged(store, 4)
    store.config = KeeperConfig(keep_days=2.5, min_free_mb=0)
    store.make_room()
    assert files(tmp_path) == set(clips[2:])
    assert [one.outcome for one in listed(store)] == ["kept", "kept", "removed", "removed"]
    assert store.index.counts()["removed age"] == 2


def test_nothing_is_deleted_by_age_before_the_clock_is_set(tmp_path):
    store = opened(tmp_path, clock_is_set=False)
    clips = aged(store, 4)
    store.config = KeeperConfig(keep_days=1, min_free_mb=0)
    store.make_room()
    assert files(tmp_path) == set(clips)
    store.close()


def test_what_was_reviewed_or_locked_is_not_deleted_by_age_and_goes_last_for_room(store, tmp_path):
    clips = aged(store, 5)
    store.index.mark(clips[0:1], "right", "")
    store.index.lock(clips[1:2], True)
    store.config = KeeperConfig(keep_days=0.5, min_free_mb=0)
    store.make_room()
    assert files(tmp_path) == {clips[0], clips[1]}
    store.config = KeeperConfig(max_per_label=1, min_free_mb=0)
    store.make_room()
    assert files(tmp_path) == {clips[1]}


def test_what_was_exported_goes_like_any_other(store, tmp_path):
    clips = aged(store, 3)
    store.index.mark(clips, "right", "")
    store.index.exported(clips[1:2])
    store.config = KeeperConfig(max_per_label=2, min_free_mb=0)
    store.make_room()
    assert files(tmp_path) == {clips[0], clips[2]}


def test_clips_take_no_more_than_they_may_and_the_new_one_stays(store, tmp_path):
    store.config = KeeperConfig(max_mb=1, min_free_mb=0)
    samples = np.tile(NOISE, 10)
    clips = [keep(store, event("dog_bark", NOW_NS + n), samples=samples).clip for n in range(6)]
    assert 500_000 < store.index.totals()[1] <= 1_000_000
    assert len(files(tmp_path)) < len(clips)
    assert clips[-1] in files(tmp_path)
    assert files(tmp_path) == store.index.all_clips()


def test_the_disk_keeps_what_is_to_stay_free(tmp_path, monkeypatch):
    store = opened(tmp_path)
    clips = aged(store, 3)
    monkeypatch.setattr(Store, "_free", lambda self: 50_000_000)
    store.config = KeeperConfig(min_free_mb=51)
    answer = keep(store, event(time_ns=NOW_NS + 1))
    assert (answer.kept, files(tmp_path)) == (False, set())
    assert "no room" in answer.reason
    assert clips
    store.close()


def test_deleting_by_hand_takes_the_file_and_leaves_the_event(store, tmp_path):
    clip = keep(store).clip
    assert store.delete([clip, "nonesuch"]) == 1
    assert files(tmp_path) == set()
    assert [one.outcome for one in listed(store)] == ["deleted"]


def test_events_are_listed_page_by_page_each_once(store):
    for number in range(25):
        store.keep(offer(event(f"label {number % 3}", NOW_NS + number // 2)), None)
    seen, before = [], None
    while page := listed(store, before=before, limit=4):
        seen += page
        before = (page[-1].time_ns, page[-1].number)
    assert [one.number for one in seen] == sorted((one.number for one in seen), reverse=True)
    assert len(seen) == 25
    some = listed(store, labels=("label 0", "label 2"), limit=100)
    assert {one.label for one in some} == {"label 0", "label 2"}
    assert [one.time_ns for one in some] == sorted((one.time_ns for one in some), reverse=True)


def test_only_what_is_asked_for_is_listed(store):
    store.keep(offer(event("rain"), reason="never"), None)
    reviewed, locked, neither = (keep(store, event(time_ns=NOW_NS + n)).clip for n in range(3))
    store.index.mark([reviewed], "wrong", "")
    store.index.lock([locked], True)
    found = {
        only: [one.clip and one.clip.id for one in listed(store, only=only)]
        for only in ("clips", "unreviewed", "reviewed", "locked")
    }
    assert found == {
        "clips": [neither, locked, reviewed],
        "unreviewed": [neither, locked],
        "reviewed": [reviewed],
        "locked": [locked],
    }


def test_the_oldest_events_are_forgotten_when_there_are_too_many(store):
    kept = keep(store, event(time_ns=NOW_NS - DAY_NS)).clip
    for number in range(20):
        store.keep(offer(event("rain", NOW_NS + number)), None)
    store.index.trim_events(10)
    found = listed(store)
    assert len(found) == 11
    assert found[-1].clip.id == kept


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True)
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.root
def test_a_real_disk_that_is_full_costs_the_clip_and_nothing_else_and_one_that_is_read_only_is_said(
    small_disk, monkeypatch
):
    store = opened(small_disk)
    kept = keep(store).clip
    (small_disk / "others").write_bytes(bytes(store._free() - 30_000))
    # As if others had filled the disk since it was looked at.
    monkeypatch.setattr(Store, "_free", lambda self: 1 << 40)
    answer = keep(store, event(time_ns=NOW_NS + 1), samples=np.tile(NOISE, 10))
    assert (answer.kept, answer.reason) == (False, "the disk is full")
    assert files(small_disk) == store.index.all_clips() == {kept}
    assert list((small_disk / "incoming").iterdir()) == []
    (small_disk / "others").unlink()
    assert keep(store, event(time_ns=NOW_NS + 3)).kept
    store.close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OSError, match=r"index\.sqlite: "):
        opened(small_disk)
