from io import StringIO
from pathlib import Path

from rich.console import Console

from cotune.cli._compare_table import build_compare_table, describe_winner
from cotune.recipes import Cell, Comparison


def make(*arms: tuple[str, list[float]], seeds: int = 1, high: bool = True):
    cells = tuple(
        Cell(name, rate, seed, -rate, 1234, 5.0, "there", {"a": rows, "b": rows})
        for seed in range(seeds)
        for name, rows in arms
        for rate in (0.1, 0.2)
    )
    base = {"a": [0.0] * 40, "b": [1.0] * 40}
    return Comparison(cells, base, "accuracy", high, Path("there"))


def render(found: Comparison, groups=None) -> list[str]:
    file = StringIO()
    Console(width=120, file=file).print(build_compare_table(found, groups))
    return [" ".join(line.split()) for line in file.getvalue().splitlines()]


def test_scores_stand_per_task_group_mean_and_worst_with_the_best_marked() -> None:
    found = make(("good", [1.0, 0.5] * 20), ("bad", [0.25] * 40))
    lines = render(found, {"first": ["a"]})
    assert "a 0.000 0.750* 0.250" in lines
    assert "b 1.000* 0.750 0.250" in lines
    assert "mean, first 0.000 0.750* 0.250" in lines
    assert "mean 0.500 0.750* 0.250" in lines
    assert "worst task 0.000 0.750* 0.250" in lines
    assert "learning rate 0.1! 0.1!" in lines
    assert "parameters 1,234 1,234" in lines
    assert "! at the edge of the grid" in " ".join(lines)


def test_where_low_is_good_the_lowest_is_marked_and_the_highest_is_worst() -> None:
    lines = render(make(("good", [0.25] * 40), ("bad", [0.75] * 40), high=False))
    assert "a 0.000* 0.250 0.750" in lines
    assert "worst task 1.000 0.250* 0.750" in lines


def test_several_seeds_show_their_spread() -> None:
    lines = render(make(("one", [0.25] * 40), seeds=3))
    assert "sd over 3 seeds 0.000" in lines


def test_a_clear_winner_is_named_with_the_interval_of_its_lead() -> None:
    found = make(("bad", [0.0] * 40), ("good", [0.5] * 40), seeds=2)
    text = "Winner: good, 0.500 ahead of bad (95 % interval 0.500 to 0.500)."
    assert describe_winner(found) == text


def test_a_winner_with_low_scores_leads_by_a_positive_number() -> None:
    found = make(("bad", [0.5] * 40), ("good", [0.1] * 40), seeds=2, high=False)
    assert describe_winner(found).startswith("Winner: good, 0.400 ahead of bad")


def test_arms_within_chance_of_the_best_make_no_winner() -> None:
    near = ("near", [0.0] * 19 + [1.0] * 21)
    best = ("best", [1.0] * 20 + [0.0] * 18 + [1.0] * 2)
    said = describe_winner(make(near, best, ("far", [0.0] * 40)))
    assert said.startswith("No winner: best has the best mean, but the 95 %")
    assert "lead over near includes 0." in said
    assert "One seed" in said


def test_one_arm_alone_wins_nothing() -> None:
    assert describe_winner(make(("only", [1.0]))) == "Only one arm was run: only."
