"""Quantities read as Kubernetes reads them."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pluginsandbox.api.quantity import (
    BYTES_PATTERN,
    Between,
    Bytes,
    Cpu,
    parse_bytes,
    parse_millicores,
)

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


@given(st.integers(1, 10**15 - 1), st.sampled_from(sorted(UNITS)))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str) -> None:
    assert parse_bytes(f"{number}{unit}") == number * UNITS[unit]


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_an_error_that_quotes_it(text: str) -> None:
    if re.fullmatch(BYTES_PATTERN, text, re.ASCII):
        assert parse_bytes(text) > 0
    else:
        with pytest.raises(ValueError, match=re.escape(repr(text))):
            parse_bytes(text)


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5Gi", "1 Mi", "1mi", "1Ti", "1e3", "64Mi\n", "\u0661Mi"]
)
def test_other_forms_are_no_sizes(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number of bytes such as"):
        parse_bytes(text)


@given(st.integers(1, 9_999_999))
def test_thousandths_of_a_processor(number: int) -> None:
    assert parse_millicores(f"{number}m") == number


@given(st.integers(0, 9_999_999))
def test_processors_with_a_fraction(thousandths: int) -> None:
    assert parse_millicores(str(Decimal(thousandths) / 1000)) == thousandths


@pytest.mark.parametrize("text", ["", "m", "-1", "1.5m", "1,5", "0.0001", "2k", "1\n"])
def test_other_forms_are_no_processors(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number of processors such as"):
        parse_millicores(text)


def test_a_number_is_taken_for_its_digits() -> None:
    assert TypeAdapter(Bytes).validate_python(65536) == "65536"
    assert TypeAdapter(Cpu).validate_python(2) == "2"


@pytest.mark.parametrize("value", [True, 1.5, None, [], b"1"])
def test_nothing_else_is_taken_for_a_quantity(value: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Bytes).validate_python(value, strict=True)


@given(st.integers(1, 10**9))
def test_bounds_are_inclusive(number: int) -> None:
    between = Between("memory", "64Ki", "1Mi")
    inside = 2**16 <= number <= 2**20
    if inside:
        assert between.inside(str(number)) == str(number)
    else:
        with pytest.raises(ValueError, match="memory must be from 64Ki to 1Mi"):
            between.inside(str(number))
