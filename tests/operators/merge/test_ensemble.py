import pytest
import torch

from cotune._errors import ConfigError
from cotune.operators.merge import ensemble


def test_the_default_is_the_mean_and_weights_are_ratios():
    one, two = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert torch.equal(ensemble([one, two]), torch.tensor([[0.5, 1.5]]))
    assert torch.equal(ensemble([one, two], [6.0, 2.0]), torch.tensor([[0.75, 0.75]]))


def test_a_generator_is_read_one_tensor_at_a_time():
    alive = []

    def runs():
        for value in (1.0, 2.0, 6.0):
            alive.append(value)
            yield torch.full((2, 3), value)

    assert torch.equal(ensemble(runs()), torch.full((2, 3), 3.0))
    assert alive == [1.0, 2.0, 6.0]


def test_bfloat16_is_summed_in_single_precision():
    logits = [torch.tensor([256.0]), *[torch.tensor([1.0])] * 7]
    result = ensemble([each.bfloat16() for each in logits])
    assert result.dtype == torch.bfloat16
    assert float(result) == float(torch.tensor(263 / 8).bfloat16())


@pytest.mark.parametrize(
    ("count", "weights"),
    [(0, None), (2, [1.0]), (2, [1.0, 1.0, 1.0]), (2, [1.0, -1.0])],
)
def test_weights_that_do_not_fit_are_refused(count, weights):
    with pytest.raises(ConfigError, match="one weight per tensor"):
        ensemble([torch.ones(2)] * count, weights)


def test_logits_of_other_shapes_are_refused():
    with pytest.raises(ConfigError, match="one shape"):
        ensemble([torch.ones(2), torch.ones(3)])
