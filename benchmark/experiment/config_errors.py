"""What pydantic finds wrong with an experiment file, as one sentence with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from benchmark.errors import nearest
from benchmark.experiment.config_types import shown
from benchmark.experiment.yaml_tree import Location, Tree

# How the file says what pydantic calls by the names of Python's types.
EXPECTED = {
    "model_type": "expected a mapping of keys",
    "dict_type": "expected a mapping of keys",
    "tuple_type": "expected a list",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "invalid_key": "expected a name as key",
    "string_too_short": "expected text, not an empty one",
    "string_pattern_mismatch": "expected letters, digits, '.', '_' or '-' only",
    "too_short": "expected a list of at least {min_length}",
    "too_long": "expected a list of at most {max_length}",
}


def first(error: ValidationError) -> ErrorDetails:
    """Return the fault to tell: a misspelt key before the key that is missing because of it."""
    found = error.errors()
    return next((details for details in found if details["type"] == "extra_forbidden"), found[0])


def sentence(
    path: Path, tree: Tree, details: ErrorDetails, keys: Mapping[Location, Sequence[str]]
) -> str:
    """Return file, line, what was expected, what came, and the nearest valid name.

    Args:
        path: The experiment file.
        tree: Its content with lines.
        details: One of pydantic's errors.
        keys: The keys that are valid in each kind of section, by its place; ``*`` stands for any
            name or number.
    """
    location = tuple(part for part in details["loc"] if part != "[key]")
    said = tree.place(path, location)
    place = ".".join(str(part) for part in location)
    if details["type"] == "extra_forbidden":
        here, name = location[:-1], str(location[-1])
        known = _keys_at(here, keys)
        of_protocol = name in ("protocol", *keys["protocol",]) and name.rstrip("s") not in known
        if of_protocol and here[:1] in (("architectures",), ("matrix",)):
            return (
                f"{said}: {place}: expected nothing that changes the protocol: the hash of "
                "these runs would be another, and nothing could be compared with them. Put it "
                "under 'protocol:' or under 'protocol:' of a dataset; here go "
                f"{', '.join(known)}."
            )
        return f"{said}: unknown key {place!r}; expected one of {', '.join(known)}." + nearest(
            name, known
        )
    if details["type"] == "missing" and isinstance(location[-1], int):
        return f"{said}: {place}: expected a longer list; value {location[-1] + 1} is missing."
    if details["type"] == "missing":
        return f"{said}: {place!r} is missing; add it."
    message = details["msg"].removeprefix("Value error, ").rstrip(".")
    message = re.sub("^Input should be (?=[a-z])", "expected a value ", message)
    message = message.replace("Input should be", "expected")
    if details["type"] in EXPECTED:
        message = EXPECTED[details["type"]].format_map(details.get("ctx", {}))
    message = f"{said}: {place or 'the file'}: {message[0].lower()}{message[1:]}"
    if "unknown" in message:  # names what came and what is nearest by itself
        return message if message.endswith("?") else f"{message}."
    known = re.findall(r"'(\w+)'", message) if details["type"] == "literal_error" else ()
    return f"{message}; received {shown(details['input'])}.{nearest(str(details['input']), known)}"


def _keys_at(location: Location, keys: Mapping[Location, Sequence[str]]) -> Sequence[str]:
    for pattern, names in keys.items():
        if len(pattern) == len(location) and all(
            wanted in ("*", part) for wanted, part in zip(pattern, location, strict=True)
        ):
            return names
    raise KeyError(f"no keys are declared for the section at {location}")
