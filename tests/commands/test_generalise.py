"""What `test-on` and `robustness` refuse, in one sentence."""

from __future__ import annotations

import pytest

from benchmark.cli import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["robustness", "abcd", "--corruptions", "noise,fog"], "got 'fog'"),
        (["robustness", "abcd", "--severities", "0"], "got '0'"),
        (["robustness", "abcd", "--cases", "0"], "expected 1 or more"),
        (["robustness", "abcd"], "expected one run whose key begins with abcd"),
        (["test-on", "abcd", "--dataset", "camsu"], "Did you mean 'camus'"),
        (["test-on", "abcd", "--dataset", "camus", "--site", "../x"], "names a folder"),
        (["test-on", "abcd", "--dataset", "camus"], "expected one run whose key begins with abcd"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(arguments, words, phantoms, tmp_path, capsys):
    where = ["--results", str(tmp_path), "--data-root", str(phantoms)]
    assert main([*arguments, *where]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")


@pytest.mark.parametrize("classes", ["left_ventricle", "a=b,a=c"])
def test_a_map_that_is_none_is_refused(classes, capsys):
    with pytest.raises(SystemExit):
        main(["test-on", "abcd", "--dataset", "camus", "--classes", classes])
    assert "every class of the model once" in capsys.readouterr().err
