import pytest

from audiomon.daemon.exposure import exposed, exposed_in_words


@pytest.fixture
def config(tmp_path):
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    path = folder / "audiomon.yaml"
    path.touch(mode=0o644)
    return path


def test_files_that_only_their_owner_and_group_may_change_are_nobody_elses(config):
    config.chmod(0o664)
    assert exposed([config]) == []


def test_a_file_that_anybody_may_write_is_named_with_what_to_do(config):
    config.chmod(0o666)
    assert exposed([config]) == [config]
    assert exposed_in_words(config) == f"{config}: any user of this machine may change it: chmod o-w {config}"


def test_a_folder_in_which_anybody_may_put_another_file_in_its_place_counts(config):
    config.parent.chmod(0o777)
    assert exposed([config]) == [config.parent]
    config.parent.chmod(0o1777)  # as /tmp is: only who owns a file may replace it
    assert exposed([config]) == []


def test_what_a_link_leads_to_counts_and_each_place_is_named_once(config, tmp_path):
    config.chmod(0o666)
    (tmp_path / "link").symlink_to(config)
    assert len(exposed([tmp_path / "link", config, config])) == 1


def test_what_is_not_there_exposes_nothing(config):
    assert exposed([config.with_name("nothing")]) == []
