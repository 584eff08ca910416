import os
import shutil

import pytest

from audiomon.daemon.watch import Settling, Watch

MS = 1_000_000


@pytest.fixture
def watch():
    watching = Watch()
    yield watching
    watching.close()


@pytest.fixture
def config(tmp_path, watch):
    path = tmp_path / "etc" / "audiomon.yaml"
    path.parent.mkdir()
    path.write_text("model: home\n")
    watch.follow([path])
    return path


def test_a_file_that_nobody_touches_has_no_changes(watch, config):
    config.read_text()
    (config.parent / "other.yaml").write_text("x")
    assert watch.changes() == []


def test_a_file_written_in_place_is_first_being_written_and_then_saved(watch, config):
    with config.open("w") as file:
        file.write("model: ")
        file.flush()
        assert set(watch.changes()) == {False}
        file.write("esc10")
    assert watch.changes()[-1] is True


@pytest.mark.parametrize("how", ["rename", "backup and rename", "link"])
def test_a_file_put_in_its_place_is_saved(watch, config, how):
    draft = config.with_name(".draft")
    draft.write_text("model: esc10\n")
    watch.changes()
    if how == "backup and rename":
        config.rename(config.with_name("audiomon.yaml~"))
    if how == "link":
        config.unlink()
        shutil.copy(draft, config)
    else:
        draft.rename(config)
    assert watch.changes()[-1] is True
    config.write_text("model: home\n")
    assert watch.changes()[-1] is True


def test_permissions_that_change_count_since_they_may_be_what_was_wrong(watch, config):
    config.chmod(0o600)
    assert watch.changes() == [True]


def test_what_a_link_leads_to_is_watched_as_well(watch, tmp_path):
    real = tmp_path / "home" / "mine.yaml"
    real.parent.mkdir()
    real.write_text("model: home\n")
    link = tmp_path / "etc.yaml"
    link.symlink_to(real)
    watch.follow([link])
    real.write_text("model: esc10\n")
    assert watch.changes()[-1] is True


def test_a_link_on_the_way_that_leads_elsewhere_is_noticed(watch, tmp_path):
    """Kubernetes has a file be a link through ``..data``, a link to the folder of the day."""

    def publish(day: str) -> None:
        (tmp_path / day).mkdir()
        (tmp_path / day / "audiomon.yaml").write_text("model: home\n")
        (tmp_path / "..new").symlink_to(day)
        (tmp_path / "..new").rename(tmp_path / "..data")

    publish("..monday")
    config = tmp_path / "audiomon.yaml"
    config.symlink_to("..data/audiomon.yaml")
    watch.follow([config])
    for day in ("..tuesday", "..wednesday"):
        publish(day)
        assert watch.changes() == [True]
    (tmp_path / "..wednesday" / "audiomon.yaml").write_text("model: esc10\n")
    assert watch.changes()[-1] is True


def test_a_file_in_a_folder_that_takes_the_place_of_its_own_is_noticed(watch, config):
    config.parent.rename(config.parent.with_name("old"))
    config.parent.mkdir()
    assert watch.changes() == [True]
    config.write_text("model: esc10\n")
    assert watch.changes()[-1] is True


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_made_in_its_place_is_noticed(watch, config, link):
    (config.parent / "whole.yaml").write_text("model: esc10\n")
    config.unlink()
    watch.changes()
    link(config.parent / "whole.yaml", config)
    assert watch.changes() == [True]


def test_links_that_lead_round_in_a_circle_can_be_followed(watch, tmp_path):
    circle = tmp_path / "circle.yaml"
    circle.symlink_to("circle.yaml")
    watch.follow([circle])
    circle.unlink()
    circle.write_text("model: home\n")
    assert watch.changes()[-1] is True


def test_what_else_happens_on_the_way_is_no_change(watch, config):
    (config.parents[1] / "other").write_text("x")
    assert watch.changes() == []


def test_a_folder_that_appears_later_or_is_replaced_is_noticed(watch, tmp_path):
    folder = tmp_path / "models" / "home"
    folder.parent.mkdir()
    paths = [folder, folder / "model.yaml"]
    watch.follow(paths)
    draft = tmp_path / "draft"
    draft.mkdir()
    (draft / "model.yaml").write_text("x")
    draft.rename(folder)
    assert watch.changes() == [True]
    watch.follow(paths)
    (folder / "model.yaml").write_text("y")
    assert watch.changes()[-1] is True


def test_what_is_no_longer_followed_is_no_longer_noticed(watch, config, tmp_path):
    watch.follow([tmp_path / "else" / "where.yaml"])
    config.write_text("model: esc10\n")
    assert watch.changes() == []


def test_a_folder_that_has_gone_is_no_reason_to_stop(watch, config, tmp_path):
    shutil.rmtree(config.parent)
    watch.changes()
    watch.follow([config, tmp_path / "else.yaml"])
    (tmp_path / "else.yaml").write_text("x")
    assert watch.changes()[-1] is True


def test_the_watch_can_be_waited_for(watch, config):
    os.set_blocking(watch.fd, False)
    config.write_text("x")
    assert os.read(watch.fd, 4096)


def test_a_saved_file_is_looked_at_when_it_has_been_left_alone_for_a_while():
    settling = Settling()
    assert not settling.due(10**12)
    settling.touch(0, saved=True)
    settling.touch(80 * MS, saved=True)
    assert not settling.due(179 * MS)
    assert settling.due(180 * MS)
    assert settling.first_ns == 0
    settling.settled()
    assert not settling.due(10**12)


def test_a_file_that_is_open_for_writing_is_waited_for_but_not_for_ever():
    settling = Settling()
    settling.touch(0, saved=False)
    assert not settling.due(10**12), "whoever writes it will also close it"
    settling.touch(0, saved=True)
    settling.touch(10 * MS, saved=False)
    assert not settling.due(1000 * MS)
    assert settling.due(2010 * MS)
    settling.touch(1000 * MS, saved=True)
    assert settling.due(1100 * MS)


def test_asking_is_answered_soon_and_asking_again_changes_nothing():
    settling = Settling()
    for at in range(0, 60, 10):
        settling.ask(at * MS)
    assert settling.due(50 * MS)
    assert settling.first_ns == 0
