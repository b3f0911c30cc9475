from __future__ import annotations

import json

import pytest

from architectures import ArchitectureError
from benchmark.cli import main
from benchmark.errors import BenchmarkError
from benchmark.networks import Request, describe, parse_settings, requests

NOTHING = {
    "channels": None, "classes": None, "dims": None, "options": {}, "everything": False,
}  # fmt: skip


def test_without_a_wish_the_networks_of_the_papers_are_listed():
    listed = requests(None, **NOTHING)
    assert {request.name for request in listed} == {"unet", "attention_unet", "vnet", "deeplabv3"}
    assert len(listed) == 9
    assert len(requests(None, **NOTHING | {"everything": True})) > 50


def test_a_name_means_its_default_form_and_a_wish_applies_to_all():
    assert requests("vnet", **NOTHING) == [Request("vnet", 2, 1, 4, {})]
    volumetric = requests(None, **NOTHING | {"dims": 3, "classes": 2})
    assert [request.name for request in volumetric] == ["unet", "attention_unet", "vnet"]


def test_description_of_a_narrow_network():
    described = describe(Request("unet", 2, 1, 4, {"filters": 4}))
    assert described.input_shape == (256, 256, 1)
    assert described.reference_params is None
    assert described.matches is None
    assert 100_000 < described.trainable_params < 150_000
    assert 0.1 < described.gmacs < 0.3


def test_json_on_the_command_line(capsys):
    arguments = ["architectures", "deeplabv3", "--classes", "3", "--set", "filters=4", "--json"]
    assert main(arguments) == 0
    described = json.loads(capsys.readouterr().out)
    assert {"name", "trainable_params", "gmacs", "input_shape", "reference_params"} <= set(
        described
    )
    assert described["input_shape"] == [256, 256, 1]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["unett"], "unet"),
        (["unet", "--set", "filtres=4"], "filters"),
        (["unet", "--set", "filters=many"], "filters"),
        (["unet", "--set", "filters"], "key=value"),
        (["unet", "--classes", "1"], "classes"),
        (["unet", "--classes", "0"], "classes"),
        (["vnet", "--channels", "3"], "3 channels"),
        (["deeplabv3", "--dims", "3"], "dimension"),
    ],
)
def test_impossible_requests_are_one_sentence(arguments, part, capsys):
    assert main(["architectures", *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert part in message
    assert "Traceback" not in message


def test_settings_are_yaml():
    words = ["filters=16", "variant=grid", "strides=[[1,2],[2,2]]", "bias=true"]
    assert parse_settings(words) == {
        "filters": 16, "variant": "grid", "strides": [[1, 2], [2, 2]], "bias": True,
    }  # fmt: skip
    with pytest.raises(BenchmarkError, match="key=value"):
        parse_settings(["=3"])


def test_unknown_name_is_an_error():
    with pytest.raises(ArchitectureError):
        requests("unknown", **NOTHING)
