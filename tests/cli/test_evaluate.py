import json

from recipes.small_world import run


def test_a_run_is_scored_again_as_it_was(trained, tmp_path) -> None:
    path = trained / "metrics.json"
    before = path.read_text()
    path.unlink()
    assert f"Written to {path}" in run("evaluate", trained)
    assert path.read_text() == before


def test_other_rows_can_be_scored(trained) -> None:
    before = (trained / "metrics.json").read_text()
    run("evaluate", trained, "--set", "data.limits.test_rows=2")
    after = json.loads((trained / "metrics.json").read_text())
    assert after["tasks"]["left"]["rows"] == 2
    (trained / "metrics.json").write_text(before)
