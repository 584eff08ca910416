from tests.models.tiny import LABELS


def test_models_are_listed_with_what_they_say_about_themselves(audiomon):
    line = next(line for line in audiomon("models", model=None).out.splitlines() if line.startswith("tiny"))
    assert line.split(maxsplit=3)[1:] == ["4", "labels", "Never trained; for tests."]


def test_a_model_is_shown_with_labels_input_and_licence(audiomon):
    out = audiomon("models", "show", "tiny", model=None).out
    assert ", ".join(LABELS) in out
    assert "20 frames × 16 bands" in out
    assert "MIT" in out


def test_an_absent_model_is_one_clear_line(audiomon):
    assert "there are: " in audiomon("models", "show", "absent", model=None).refused()
