from recipes.small_world import run


def lines_of(shown: str, start: str) -> list[list[str]]:
    return [
        line.split() for line in shown.splitlines() if line.strip().startswith(start)
    ]


def test_a_recipe_a_run_and_its_adapter_are_explained_alike(world, trained) -> None:
    sums = [
        lines_of(run("explain", what), "all layers")
        for what in (world / "recipe.yaml", trained, trained / "adapter")
    ]
    assert sums[0] == sums[1] == sums[2]
    # Two blocks, q and v, 16 x 16, r = 2: A and B shared; two cores of 2 x 2 private.
    shared, private, trained_numbers = (int(line[-2]) for line in sums[0])
    assert (shared, private) == (4 * 2 * 32, 4 * 2 * 4)
    assert trained_numbers == shared + private


def test_layers_are_shown_one_by_one(world) -> None:
    some = run("explain", world / "recipe.yaml", "--layers", "1")
    assert "model.layers.0.self_attn.q_proj" in some
    assert "and 3 more layers (--layers 0 shows all)" in some
    every = run("explain", world / "recipe.yaml", "--layers", "0")
    assert "model.layers.1.self_attn.v_proj" in every
    assert "more layers" not in every


def test_a_shipped_recipe_is_explained_and_changes_count(world) -> None:
    shown = run("explain", "cola", "--set", "adapter.r=4", "--layers", "1")
    (shared,) = lines_of(shown, "all layers           shared") or [
        line for line in lines_of(shown, "all layers") if "shared" in line
    ]
    assert "3 x 128 x 4" in shown
    assert shared[-2] == "88,064"
