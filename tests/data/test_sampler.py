from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, DataLoader

from cotune._errors import ConfigError
from cotune.data import MixtureSampler, MixtureSpec

SIZES = {"a": 10, "b": 3, "c": 27}


def make(sizes=SIZES, seed=0, **settings):
    return MixtureSampler.from_spec(sizes, MixtureSpec(**settings), seed=seed)


def per_task(rows, sizes=SIZES):
    bounds = torch.tensor(list(sizes.values())).cumsum(0)
    tasks = torch.bucketize(torch.as_tensor(rows), bounds, right=True)
    return Counter(list(sizes)[int(task)] for task in tasks)


def test_a_proportional_epoch_is_every_row_once():
    sampler = make()
    for epoch in range(3):
        assert sorted(sampler.draw_epoch(epoch).tolist()) == list(range(40))


@given(
    sizes=st.dictionaries(
        st.sampled_from("abcdef"), st.integers(1, 30), min_size=1, max_size=6
    ),
    name=st.sampled_from(["proportional", "uniform", "temperature"]),
    epoch_rows=st.integers(6, 100),
    seed=st.integers(-3, 2**40),
)
def test_every_epoch_has_the_same_rows_per_task_and_rows_repeat_last(
    sizes, name, epoch_rows, seed
):
    sampler = make(sizes, seed, name=name, epoch_rows=epoch_rows)
    seen = Counter()
    for epoch in range(4):
        rows = sampler.draw_epoch(epoch)
        assert rows.shape == (epoch_rows,) == (len(sampler),)
        assert per_task(rows, sizes) == sampler.counts
        seen.update(rows.tolist())
    start = 0
    for name, size in sizes.items():
        counts = [seen[row] for row in range(start, start + size)]
        assert max(counts) - min(counts) <= 1, name
        start += size


def test_the_order_is_a_function_of_seed_and_epoch_alone():
    first, second = make(seed=3), make(seed=3)
    torch.manual_seed(0)
    later = first.draw_epoch(5).tolist()
    torch.manual_seed(1)
    list(second)
    assert second.draw_epoch(5).tolist() == later
    assert make(seed=4).draw_epoch(5).tolist() != later
    assert first.draw_epoch(6).tolist() != later
    second.set_epoch(5)
    assert list(second) == later
    assert list(second) == later


def test_another_task_does_not_change_the_order_of_the_rows_of_a_task():
    alone = make({"a": 10})._draw_task("a", 0)
    joined = make({"z": 4, "a": 10})._draw_task("a", 0)
    assert torch.equal(alone, joined)


def test_two_processes_of_accelerate_share_an_epoch_out():
    from accelerate.data_loader import BatchSamplerShard

    sampler = make(epoch_rows=40)
    sampler.set_epoch(2)
    shards = [
        [
            row
            for batch in BatchSamplerShard(
                BatchSampler(sampler, batch_size=4, drop_last=False), 2, process
            )
            for row in batch
        ]
        for process in range(2)
    ]
    assert [len(shard) for shard in shards] == [20, 20]
    assert sorted(shards[0] + shards[1]) == list(range(40))


@pytest.mark.parametrize("processes", [1, 2])
def test_accelerate_passes_the_epoch_on(processes):
    from accelerate.data_loader import prepare_data_loader

    loader = DataLoader(range(40), batch_size=4, sampler=make())
    ready = prepare_data_loader(
        loader, num_processes=processes, process_index=0, put_on_device=False
    )
    ready.set_epoch(3)
    rows = [row for batch in ready for row in batch.tolist()]
    want = make().draw_epoch(3).tolist()
    if processes == 2:
        want = [row for start in range(0, 40, 8) for row in want[start : start + 4]]
    assert rows == want


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"a": 0, "b": 2}, "every task must have rows, got none for a"),
        ({}, "every task must have rows, got none for any task"),
    ],
)
def test_tasks_without_rows_are_refused(sizes, message):
    with pytest.raises(ConfigError, match=message):
        make(sizes)


def test_counts_must_fit_the_tasks():
    with pytest.raises(
        ConfigError, match="counts must give a row or more to each of a"
    ):
        MixtureSampler({"a": 2}, {"b": 2})
    with pytest.raises(ConfigError, match="counts must give"):
        MixtureSampler({"a": 2}, {"a": 0})
