"""What a structural schema cannot say is an error that names the place."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from pluginsandbox.api.model import VALIDATIONS, Model, Rule
from pluginsandbox.api.structural import SchemaError, structural

RULE = Rule(cel="self > 1", check=lambda value: value > 1, message="it must be more than 1")


class Inner(Model):
    """An inner object."""

    count: Annotated[int, Field(ge=1, le=5)] = 3
    label: str | None = None


class Outer(Model):
    """An outer object."""

    inner: Inner = Inner()
    """What it holds."""
    other: Inner = Inner(count=5)
    plain: Inner | None = None
    kind: Literal["One"] = "One"
    large: Annotated[int, Field(ge=0, le=2**40), RULE] = 7
    items: tuple[Inner, ...] = ()
    required: int


class Unions(BaseModel):
    either: int | str


class Recursive(BaseModel):
    child: Recursive | None = None


class Multiples(BaseModel):
    even: Annotated[int, Field(multiple_of=2)]


SCHEMA = structural(Outer)
FIELDS = SCHEMA["properties"]


def test_models_are_written_in_place() -> None:
    assert FIELDS["inner"]["properties"]["count"]["maximum"] == 5
    assert FIELDS["items"]["items"]["type"] == "object"
    assert "$defs" not in SCHEMA


def test_an_optional_field_is_absent_and_never_null() -> None:
    assert FIELDS["inner"]["properties"]["label"] == {"type": "string"}
    assert FIELDS["plain"]["type"] == "object"


def test_a_default_says_only_what_the_parts_do_not() -> None:
    assert FIELDS["inner"]["default"] == {}
    assert FIELDS["other"]["default"] == {"count": 5}
    assert "default" not in FIELDS["plain"]
    assert "default" not in FIELDS["items"]


def test_the_text_of_a_field_comes_before_that_of_its_class() -> None:
    assert FIELDS["inner"]["description"] == "What it holds."
    assert FIELDS["other"]["description"] == "An inner object."


def test_a_constant_is_an_enum_of_one() -> None:
    assert FIELDS["kind"] == {"type": "string", "enum": ["One"], "default": "One"}


def test_numbers_get_the_format_that_holds_them() -> None:
    assert FIELDS["large"]["format"] == "int64"
    assert FIELDS["inner"]["properties"]["count"]["format"] == "int32"


def test_a_rule_is_told_where_it_belongs() -> None:
    assert FIELDS["large"][VALIDATIONS] == [
        {"rule": "self > 1", "message": "it must be more than 1"}
    ]


def test_only_what_has_no_default_is_required() -> None:
    assert SCHEMA["required"] == ["required"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Unions, r"Unions\.either: a structural schema has no unions"),
        (Recursive, r"Recursive contains itself"),
        (Multiples, r"Multiples\.even: a structural schema has no multipleOf"),
    ],
)
def test_what_cannot_be_said_is_an_error(model: type[BaseModel], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        structural(model)
