import pytest
import torch

from cotune._errors import ConfigError
from cotune.analysis import EvaluationCache, Trial, merging
from cotune.operators.merge import MERGE, merge_adapters

LAYER = "model.layers.0.q_proj"


def size(task, adapter):
    """Score an adapter by the size of one update."""
    del task
    return float(adapter.update(LAYER).delta().square().mean())


@pytest.fixture
def several(adapter):
    return {name: adapter(seed) for seed, name in enumerate("abc")}


def test_every_operator_is_scored_on_every_task(several):
    found = merging(several, size)
    assert list(found.table()) == ["own adapter", *MERGE]
    assert all(list(scores) == ["a", "b", "c"] for scores in found.table().values())
    assert set(found.errors) == set(MERGE)


def test_scores_and_errors_are_those_of_the_merged_adapter(several):
    found = merging(several, size, trials=[Trial("mix", {"rank": 1})])
    merged = merge_adapters(list(several.values()), method="mix", rank=1)
    assert found.table()["mix rank=1"]["a"] == size("a", merged.adapter)
    assert found.errors["mix rank=1"] == merged.worst > 0
    own = found.table()["own adapter"]
    assert own == {name: size(name, each) for name, each in several.items()}


def test_means_and_worst_are_over_the_tasks(several):
    table = {"a": 1.0, "b": 0.5, "c": 0.0}
    found = merging(several, lambda task, _: table[task], trials=[Trial("fuse")])
    assert found.means() == {"own adapter": 0.5, "fuse": 0.5}
    assert found.summary()["worst"]["fuse"] == 0.0


def test_what_is_no_merged_adapter_is_shown_beside(several):
    found = merging(
        several, size, trials=[Trial("fuse")], beside={"ensemble": lambda task: 0.75}
    )
    assert list(found.table()) == ["own adapter", "ensemble", "fuse"]
    assert found.means()["ensemble"] == 0.75


def test_operators_that_draw_start_from_the_seed(several):
    def run(seed):
        return merging(several, size, trials=[Trial("dare")], seed=seed).rows()

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_an_interrupted_table_goes_on_and_merges_nothing_again(several, tmp_path):
    path, calls = tmp_path / "numbers.jsonl", []

    def stop_at_the_fifth(task, adapter):
        calls.append(task)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return size(task, adapter)

    with pytest.raises(KeyboardInterrupt):
        merging(several, stop_at_the_fifth, cache=EvaluationCache(path))
    ticks = []
    found = merging(
        several,
        stop_at_the_fifth,
        cache=EvaluationCache(path),
        progress=lambda done, total: ticks.append((done, total)),
    )
    total = 3 * (1 + len(MERGE))
    assert len(calls) == total + 1
    assert ticks[-1] == (total, total)
    assert found == merging(several, size)


def test_mistakes_are_found_first_and_name_the_operator(several):
    def never(task, adapter):
        raise AssertionError("scored")

    with pytest.raises(ConfigError, match="merging: ties densty=1: Unknown option"):
        merging(several, never, trials=[Trial("ties", {"densty": 1.0})])
    with pytest.raises(ConfigError, match="at least two adapters"):
        merging({"a": several["a"]}, size)


def test_adapters_are_not_changed(several):
    before = {n: a.layers[LAYER].A.clone() for n, a in several.items()}
    merging(several, size)
    for name, A in before.items():
        assert torch.equal(several[name].layers[LAYER].A, A)
