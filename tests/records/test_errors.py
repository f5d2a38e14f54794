from __future__ import annotations

import math

import numpy as np
import pytest

import axdnn.records
from axdnn.records import AxdnnError, InvalidInputError, UnknownNameError, require_finite, unknown_name

NAMES = ("mul8u_QKX", "mul8u_R36", "mul8s_1L2N", "tpu_v4")


def test_every_error_is_ours_and_a_builtin() -> None:
    errors = [v for v in vars(axdnn.records).values() if isinstance(v, type) and issubclass(v, AxdnnError)]
    assert len(errors) > 8
    for error in errors:
        if error is not AxdnnError:
            assert issubclass(error, ValueError | LookupError | RuntimeError | NotImplementedError)


@pytest.mark.parametrize(
    ("given", "near"), [("mul8u_QKY", "mul8u_QKX"), ("MUL8U_R36", "mul8u_R36"), ("tpu4", "tpu_v4"), ("TPUV4", "tpu_v4")]
)
def test_unknown_name_says_the_nearest(given: str, near: str) -> None:
    error = unknown_name("multiplier", given, NAMES, "`axdnn multipliers list` prints them all")
    assert isinstance(error, UnknownNameError)
    assert isinstance(error, LookupError)
    for part in ("multiplier", repr(given), f"nearest: {near}" if given != "mul8u_QKY" else near, "prints them all"):
        assert part in str(error)


def test_unknown_name_without_a_near_one_lists_some() -> None:
    assert "known: mul8u_QKX, mul8u_R36, mul8s_1L2N, tpu_v4" in str(unknown_name("x", "????", NAMES))
    many = str(unknown_name("x", "????", [f"name{i}" for i in range(50)]))
    assert "name11, ..." in many
    assert "name12" not in many
    assert "unknown x ''" in str(unknown_name("x", "", NAMES))


@pytest.mark.parametrize("value", [0, 1.5, 100, np.float32(2.5), np.int64(3), np.float64(1)])
def test_finite_numbers_in_range_pass(value: float) -> None:
    passed = require_finite("budget", value, 0.0, 100.0)
    assert type(passed) is float
    assert passed == value


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, -1e-9, 100.1, True, "1", None, [1], np.float32(np.nan), 1j, np.array([1.0])],
)
def test_everything_else_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidInputError, match=r"0 <= budget <= 100 must hold .*got budget="):
        require_finite("budget", value, 0.0, 100.0)  # type: ignore[arg-type]


def test_numbers_beyond_floats_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="n >= 3"):
        require_finite("n", 10**400, 3)
