"""The federated section: all its faults at once, each with what to do."""

import pytest

from cotune._errors import ConfigError
from cotune.recipes import build_plan, check_recipe, read_recipe
from federated.small_federation import CLIENTS, recipe, values


def faults_of(content):
    with pytest.raises(ConfigError) as caught:
        build_plan(check_recipe(content))
    return str(caught.value)


def test_a_name_alone_is_an_aggregation_and_its_options_stand_beside_it(tmp_path):
    content = values(tmp_path, tmp_path, aggregation="fedit")
    assert check_recipe(content).federated.aggregation.name == "fedit"
    content["federated"]["aggregation"] = {"name": "fed-alora-any", "wide": 3}
    assert "Did you mean width?" in faults_of(content)


def test_a_wrong_aggregation_gets_the_nearest_name(tmp_path):
    content = values(tmp_path, tmp_path, aggregation="fed-alroa")
    assert "Did you mean fed-alora" in faults_of(content)


def test_nodes_belong_to_known_clients_one_each(clients_world, tmp_path):
    first, second = CLIENTS[:2]
    nodes = {first: 7, second: 7}
    found = faults_of(values(clients_world, tmp_path, aggregation="fedit", nodes=nodes))
    assert "nodes: must be one node per client, got [7, 7]" in found
    nodes = {first: 7, f"{second}x": 8}
    found = faults_of(values(clients_world, tmp_path, aggregation="fedit", nodes=nodes))
    assert f"nodes: Unknown client '{second}x'" in found


def test_nodes_are_the_operators_and_not_part_of_what_all_agree_on(
    clients_world, tmp_path
):
    plain = values(clients_world, tmp_path, aggregation="fedit")
    pinned = values(clients_world, tmp_path, aggregation="fedit", nodes={CLIENTS[0]: 7})
    one, two = (build_plan(check_recipe(content)) for content in (plain, pinned))
    assert one.digest == two.digest


def test_all_faults_of_the_section_come_together(tmp_path):
    content = values(
        tmp_path,
        tmp_path,
        aggregation="fedit",
        ranks=[1, 2, 4],
        local_epochs=1,
        newcomers=["eve"],
        privacy={"secure_aggregation": True},
    )
    found = faults_of(content)
    for key in ("ranks:", "local_steps:", "newcomers:", "secure_aggregation"):
        assert key in found


@pytest.mark.parametrize(
    ("aggregation", "method", "advice"),
    [
        ("colora", "lora", "Set it to colora"),
        ("feddpa", "lora", "Set it to dual"),
        ("fedit", "alora", "adapter.num_A: must be 1"),
        ("fed-alora", "hydralora", "adapter.num_B: must be 1"),
    ],
)
def test_an_adapter_that_does_not_fit_is_refused(aggregation, method, advice, tmp_path):
    content = values(tmp_path, tmp_path, method, aggregation=aggregation)
    assert advice in faults_of(content)


def test_names_and_numbers_of_clients_are_checked_together(clients_world, tmp_path):
    content = values(
        clients_world,
        tmp_path,
        aggregation="hetlora",
        ranks={"anne": 2},
        evaluate_only=["bobby"],
        quorum=9,
    )
    found = faults_of(content)
    for text in ("Did you mean ann", "Did you mean bob", "quorum: must be at most"):
        assert text in found


def test_a_plan_has_a_client_per_task_with_one_scale_for_all_ranks(
    clients_world, tmp_path
):
    plan = build_plan(recipe(clients_world, tmp_path, "hetlora", ranks=[1, 2, 4]))
    assert [client.name for client in plan.clients] == list(CLIENTS)
    assert {plan.seat(client).scale for client in plan.clients} == {2.0}
    config = plan.adapter_at(4, "eve")
    assert (config.r, config.lora_alpha, config.tasks) == (4, 8.0, ["eve"])


def test_one_task_is_dealt_out_and_every_row_has_one_owner(clients_world, tmp_path):
    deal = {"task": "eve", "count": 3, "split": {"name": "dirichlet", "alpha": 1.0}}
    plan = build_plan(recipe(clients_world, tmp_path, clients=deal))
    assert [client.name for client in plan.clients] == ["eve-0", "eve-1", "eve-2"]
    tasks = [plan.read_task(client) for client in plan.clients]
    rows = [row for task in tasks for row in task.train["prompt"]]
    assert len(rows) == len(set(rows)) == 16
    assert len({tuple(task.test["prompt"]) for task in tasks}) == 1


def test_paths_and_patience_are_no_part_of_what_parties_agree_on(
    clients_world, tmp_path
):
    one = build_plan(recipe(clients_world, tmp_path / "a", rounds=1, timeout=1))
    two = build_plan(recipe(clients_world, tmp_path / "b", rounds=9, timeout=2))
    other = build_plan(recipe(clients_world, tmp_path / "a", local_steps=3))
    assert one.digest == two.digest != other.digest


def test_a_recipe_without_the_section_says_what_to_add():
    with pytest.raises(ConfigError, match="federated: must be a section"):
        build_plan(read_recipe("lora"))
