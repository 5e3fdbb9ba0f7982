import pytest

from cotune._errors import ConfigError
from cotune.analysis import EvaluationCache


def never():
    raise AssertionError("evaluated again")


def test_numbers_survive_in_the_file_and_are_not_computed_again(tmp_path):
    path = tmp_path / "made" / "run.jsonl"
    first = EvaluationCache(path, fingerprint="f")
    assert first.get_or_compute("a", lambda: 0.1) == 0.1
    first.get_or_compute("b", lambda: 1e-300)
    again = EvaluationCache(path, fingerprint="f")
    assert again.get_or_compute("a", never) == 0.1
    assert again.get_or_compute("b", never) == 1e-300
    assert again.found == 2


def test_a_line_that_was_cut_off_is_left_out_and_the_rest_kept(tmp_path):
    path = tmp_path / "run.jsonl"
    EvaluationCache(path).add({"a": 1.0, "b": 2.0})
    path.write_text(path.read_text()[:-4])
    cut = EvaluationCache(path)
    assert "a" in cut and "b" not in cut
    cut.add({"b": 3.0})
    assert EvaluationCache(path).get_or_compute("b", never) == 3.0


def test_a_file_about_something_else_is_refused(tmp_path):
    path = tmp_path / "run.jsonl"
    EvaluationCache(path, fingerprint="one").add({"a": 1.0})
    with pytest.raises(ConfigError, match="same adapters"):
        EvaluationCache(path, fingerprint="other")


@pytest.mark.parametrize("text", ["no json\n", "{}\n", "[1]\n", ""])
def test_a_file_that_is_none_is_refused_or_empty(tmp_path, text):
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match="one evaluation per line"):
        EvaluationCache(path)
