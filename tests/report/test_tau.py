import random

import pytest
from scipy.stats import kendalltau, rankdata

from axdnn.records import InvalidInputError
from axdnn.report import kendall_tau, ranks


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("levels", [3, 1000])
def test_tau_b_as_scipy(seed, levels):
    rng = random.Random(seed)
    a = [rng.randrange(levels) / 7 for _ in range(20)]
    b = [rng.randrange(levels) / 3 for _ in range(20)]
    assert kendall_tau(a, b) == pytest.approx(kendalltau(a, b, variant="b").statistic, abs=1e-12)
    assert list(ranks(dict(enumerate(a))).values()) == pytest.approx(list(rankdata([-v for v in a])))


def test_tau_at_the_ends():
    assert kendall_tau([1, 2, 3], [10, 20, 30]) == 1
    assert kendall_tau([1, 2, 3], [3, 2, 1]) == -1
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None
    assert kendall_tau([1], [2]) is None
    assert kendall_tau([], []) is None
    with pytest.raises(InvalidInputError, match="2 and 1"):
        kendall_tau([1, 2], [1])
