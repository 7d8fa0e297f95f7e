"""Quantities as Kubernetes writes them, the few forms that this kind takes."""

from __future__ import annotations

import dataclasses
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, StringConstraints
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from pluginsandbox.api.model import VALIDATIONS

BYTES_PATTERN = r"^[1-9][0-9]{0,14}(k|M|G|Ki|Mi|Gi)?$"
CPU_PATTERN = r"^([1-9][0-9]{0,6}m|[0-9]{1,4}(\.[0-9]{1,3})?)$"
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}


def parse_bytes(text: str) -> int:
    """Return the number of bytes that `text`, such as `64Mi`, stands for.

    Raises:
        ValueError: Not a number of bytes with one of the units k, M, G, Ki, Mi, Gi or none.

    """
    if not re.fullmatch(BYTES_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} must be a number of bytes such as 65536, 64Ki, 64Mi or 1Gi")
    digits = text.rstrip("kKMGi")
    return int(digits) * _UNITS[text[len(digits) :]]


def parse_millicores(text: str) -> int:
    """Return the thousandths of a processor that `text`, such as `250m` or `1.5`, stands for.

    Raises:
        ValueError: Not such a number.

    """
    if not re.fullmatch(CPU_PATTERN, text, re.ASCII):
        raise ValueError(f"{text!r} must be a number of processors such as 250m, 2 or 0.5")
    return int(text[:-1]) if text.endswith("m") else int(Decimal(text) * 1000)


@dataclasses.dataclass(frozen=True)
class Between:
    """Inclusive bounds of a quantity; the same text bounds it in CEL and in Python."""

    field: str
    low: str
    high: str

    @property
    def message(self) -> str:
        """What the API server and the models say of a value outside."""
        return f"{self.field} must be from {self.low} to {self.high}"

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.inside, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        value = "quantity(string(self))"
        rule = (
            f"!isQuantity(string(self)) || ({value}.compareTo(quantity('{self.low}')) >= 0"
            f" && {value}.compareTo(quantity('{self.high}')) <= 0)"
        )
        return handler(core) | {VALIDATIONS: [{"rule": rule, "message": self.message}]}

    def inside(self, text: str) -> str:
        """Return `text`, or raise what the models say of a value outside."""
        parse = parse_millicores if self.low.endswith("m") else parse_bytes
        if not parse(self.low) <= parse(text) <= parse(self.high):
            raise PydanticCustomError("quantity", "{message}", {"message": self.message})
        return text


class _IntOrString:
    """A string that YAML may give as a whole number."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = {key: value for key, value in handler(core).items() if key != "type"}
        either = [{"type": "integer"}, {"type": "string"}]
        return schema | {"anyOf": either, "x-kubernetes-int-or-string": True}


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Bytes = Annotated[
    str,
    StringConstraints(pattern=BYTES_PATTERN, max_length=17),
    BeforeValidator(_text),
    _IntOrString(),
]
"""A number of bytes, such as `64Mi`; `parse_bytes` reads it."""

Cpu = Annotated[
    str,
    StringConstraints(pattern=CPU_PATTERN, max_length=8),
    BeforeValidator(_text),
    _IntOrString(),
]
"""A number of processors, such as `250m`; `parse_millicores` reads it."""
