"""How p depends on depth."""

from __future__ import annotations

import pytest

from cotune.schedules import DEPTHS

PROBABILITIES = [0.0, 0.1, 0.3, 0.5, 0.8, 1.0]


@pytest.mark.parametrize("name", DEPTHS)
@pytest.mark.parametrize("p", PROBABILITIES)
@pytest.mark.parametrize("blocks", [2, 3, 12])
def test_every_rule_gives_probabilities_whose_mean_over_depth_is_p(name, p, blocks):
    chances = [DEPTHS[name](p, place / (blocks - 1)) for place in range(blocks)]
    assert all(-1e-15 <= chance <= 1 + 1e-15 for chance in chances)
    assert sum(chances) / blocks == pytest.approx(p, abs=1e-15)


def test_high_drops_the_last_blocks_most_and_low_the_first():
    assert DEPTHS["high"](0.3, 0.0) == pytest.approx(0.6)
    assert DEPTHS["high"](0.3, 1.0) == pytest.approx(0.0)
    assert DEPTHS["low"](0.8, 0.0) == pytest.approx(0.6)
    assert DEPTHS["low"](0.8, 1.0) == pytest.approx(1.0)
    assert DEPTHS["uniform"](0.3, 1.0) == 0.3
