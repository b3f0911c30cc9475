from __future__ import annotations

import dataclasses
import json

import pytest

from benchmark.experiment.spec import RunSpec


def test_survives_the_way_through_json(spec):
    assert RunSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_key_is_the_same_in_every_process(spec):
    assert spec.key == RunSpec.from_dict(spec.to_dict()).key


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": "vnet"}, {"options": {"filters": 8}}, {"dims": 3}, {"dataset": "camus"},
        {"source": "real"}, {"fingerprint": "0" * 16}, {"code": "0" * 12}, {"fold": 1},
        {"seed": 1}, {"protocol.epochs": 3}, {"rules": 0},
    ],
)  # fmt: skip
def test_everything_that_changes_a_result_changes_the_key(spec, change):
    if "protocol.epochs" in change:
        change = {"protocol": dataclasses.replace(spec.protocol, epochs=3)}
    assert dataclasses.replace(spec, **change).key != spec.key


def test_one_device_leaves_the_key_as_it_was_and_several_change_it(spec):
    plain = spec.to_dict()
    assert "devices" not in plain["protocol"]  # records of before have none, and the same keys
    assert RunSpec.from_dict(plain).protocol.devices == 1
    several = dataclasses.replace(spec, protocol=dataclasses.replace(spec.protocol, devices=4))
    assert several.to_dict()["protocol"]["devices"] == 4
    assert RunSpec.from_dict(several.to_dict()) == several
    assert several.protocol_hash != spec.protocol_hash


def test_protocol_hash_is_shared_by_architectures_only(spec):
    other = dataclasses.replace(spec, architecture="vnet", options={}, dims=3, seed=5, fold=2)
    assert other.protocol_hash == spec.protocol_hash
    for change in ({"source": "real"}, {"dataset": "camus"}, {"fingerprint": "0"}, {"rules": 0}):
        assert dataclasses.replace(spec, **change).protocol_hash != spec.protocol_hash


def test_rule_order_and_augmentation_do_not_depend_on_the_architecture(spec):
    other = dataclasses.replace(spec, architecture="vnet", dims=3)
    assert other.seed_for("order") == spec.seed_for("order")
    assert other.seed_for("init") != spec.seed_for("init")
    assert dataclasses.replace(spec, fold=1).seed_for("order") != spec.seed_for("order")
    assert dataclasses.replace(spec, seed=1).seed_for("order") != spec.seed_for("order")


def test_patch_and_batch_follow_the_dimensions(spec):
    volume = dataclasses.replace(spec, dims=3)
    assert (spec.patch, spec.batch_size, spec.validation_patches) == ((32, 32), 4, 6)
    assert (volume.patch, volume.batch_size, volume.validation_patches) == ((8, 32, 32), 1, 2)
