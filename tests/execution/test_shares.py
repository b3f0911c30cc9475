"""What a run asks of a cluster."""

from __future__ import annotations

import pytest

from benchmark.errors import BenchmarkError
from benchmark.execution.shares import Node, Share, share_out


@pytest.mark.parametrize(
    ("nodes", "asked", "share"),
    [
        # Without GPUs a run gets a node; a head without processors takes none.
        ([Node(0, 0), Node(8, 0), Node(16, 0)], {}, Share(8, 0, 3)),
        ([Node(1, 0), Node(1, 0)], {}, Share(1, 0, 2)),
        # With GPUs it gets one, and its part of the processors of the poorest node that has any.
        ([Node(4, 0), Node(32, 4), Node(48, 8)], {}, Share(6, 1, 12)),
        ([Node(2, 4)], {}, Share(1, 1, 2)),
        ([Node(32, 4)], {"gpus": 2}, Share(16, 2, 2)),
        ([Node(32, 4)], {"gpus": 0}, Share(32, 0, 1)),
        ([Node(32, 4), Node(2, 0)], {"cpus": 3}, Share(3, 1, 4)),
        ([Node(8, 0), Node(2, 0)], {"cpus": 3}, Share(3, 0, 2)),
    ],
)
def test_shares(nodes, asked, share):
    assert share_out(nodes, **asked) == share


@pytest.mark.parametrize("nodes", [[], [Node(0, 2)], [Node(4, 1)]])
def test_what_no_node_has_is_refused(nodes):
    with pytest.raises(BenchmarkError, match=r"expected a node with at least \d CPUs and 2 GPUs"):
        share_out(nodes, gpus=2, cpus=None)


@pytest.mark.parametrize("asked", [{"cpus": 0}, {"cpus": -2}, {"gpus": -1}])
def test_what_is_no_share_is_refused(asked):
    ((option, number),) = asked.items()
    with pytest.raises(BenchmarkError, match=rf"--{option} {number}: expected \d or more"):
        share_out([Node(8, 2)], **asked)
