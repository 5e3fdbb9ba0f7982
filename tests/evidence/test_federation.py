import pytest
from benchmarks.evidence import federation
from benchmarks.evidence.federation import AGGREGATED, TRAINED, run_federation

CHANGES = (
    "federated={aggregation: fed-alora, rounds: 1, local_steps: 1, score_every: 1}",
    "training.max_steps=-1",
)


@pytest.mark.slow
def test_a_federation_is_tuned_scored_and_kept(small_bench, monkeypatch) -> None:
    found = run_federation(small_bench, "world", *CHANGES)
    assert set(found.tried) == {0.01, 0.1} and found.rate in found.tried
    assert found.tried[found.rate] == max(found.tried.values())
    assert len(found.means(AGGREGATED)) == len(found.means(TRAINED)) == 2
    assert found.bytes > 0
    monkeypatch.delattr(federation, "federate")
    assert run_federation(small_bench, "world", *CHANGES) == found
