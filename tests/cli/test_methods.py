import pytest

from cotune import METHODS
from recipes.small_world import run


@pytest.mark.parametrize("width", ["80", "160"])
def test_every_method_has_a_whole_line(monkeypatch, width) -> None:
    monkeypatch.setenv("COLUMNS", width)
    lines = [line.split() for line in run("methods").splitlines()]
    for name, method in METHODS.items():
        (own,) = [words for words in lines if words[:1] == [name]]
        paper = method.paper.removeprefix("arXiv:")
        assert {method.coupling, method.core, method.start, paper} <= set(own)
