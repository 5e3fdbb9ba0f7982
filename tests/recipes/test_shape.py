import pytest

from cotune.adapters import METHODS, explain_model
from cotune.recipes import build_shape, check_recipe, run_recipe
from recipes.small_world import recipe_values

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", METHODS)
def test_the_shape_has_the_factors_of_the_real_model(world, method, tmp_path) -> None:
    values = recipe_values(world)
    values["adapter"] |= {"method": method, "target_modules": "all-linear"}
    values["training"]["max_steps"] = 1
    recipe = check_recipe({**values, "output_dir": str(tmp_path / "run")})
    shape = build_shape(recipe)
    assert {parameter.device.type for parameter in shape.parameters()} == {"meta"}
    assert explain_model(shape) == explain_model(run_recipe(recipe).model)
