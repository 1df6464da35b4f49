"""What command.run promises beyond the contract."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from actions.command import CommandRun
from engine.contract import ActionFailed, CannotTell, Category
from tests.contract.actions.cases_command import SECRET, connections

action = CommandRun()


def planned(made: Any, script: str, **more: Any) -> Any:
    params = {"connection": "tools", "program": "sh", "arguments": ["-c", script], **more}
    return action.plan(action.Params.model_validate(params), made.reading())


def test_a_time_out_kills_the_whole_group(tmp_path: Path) -> None:
    made = connections(tmp_path)
    script = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; wait; sleep 60"
    plan = planned(made, script, timeout=0.3)
    start = time.monotonic()
    with pytest.raises(ActionFailed, match=r"no end within 0\.3 s") as caught:
        action.apply(plan, made.writing(), "key-1")
    assert time.monotonic() - start < 5
    assert (caught.value.category, caught.value.effect_possible) == (Category.UNCLASSIFIED, True)
    child = int((tmp_path / "child").read_text())
    assert not _lives(child)
    assert isinstance(action.confirm(plan, None, made.reading(), "key-1"), CannotTell)


def _lives(pid: int) -> bool:
    """Whether the process runs; one that has ended and is not waited for yet does not."""
    for _ in range(50):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.02)
    return True


def test_output_is_bounded_and_children_left_behind_end(tmp_path: Path) -> None:
    made = connections(tmp_path, max_output=100)
    script = f"sleep 60 & echo $! > {tmp_path}/child; yes | head -c 3000000; echo oops >&2"
    receipt = action.apply(planned(made, script), made.writing(), "key-1")
    assert (len(receipt.output["stdout"]), receipt.output["truncated"]) == (100, True)
    assert receipt.output["stderr"] == "oops\n"
    assert not _lives(int((tmp_path / "child").read_text()))


def test_input_environment_and_arguments_reach_no_shell(tmp_path: Path) -> None:
    made = connections(tmp_path)
    plan = planned(made, 'cat; env | cut -d= -f1 | sort; echo "$TOKEN"', stdin="given\n")
    output = action.apply(plan, made.writing(), "key-1").output
    names = set(output["stdout"].split())
    assert {"given", "LANG", "PATH", "TOKEN", "[redacted]"} <= names
    assert "HOME" not in names
    assert SECRET not in str(output)
    (tmp_path / "a $(b)").write_text("x")
    params = {"program": "cp", "arguments": ["-n", f"{tmp_path}/a $(b)", f"{tmp_path}/c;d"]}
    action.apply(planned(made, "", **params), made.writing(), "key-2")
    assert (tmp_path / "c;d").read_text() == "x"


def test_a_failure_is_told_and_left_to_a_person(tmp_path: Path) -> None:
    made = connections(tmp_path)
    plan = planned(made, 'echo "bad $TOKEN" >&2; exit 7')
    with pytest.raises(ActionFailed, match=r"ended with code 7: bad \[redacted\]") as caught:
        action.apply(plan, made.writing(), "key-1")
    assert caught.value.effect_possible
    found = action.confirm(plan, None, made.reading(), "key-1")
    assert isinstance(found, CannotTell)
    assert "code 7" in found.reason
    fine = planned(made, "exit 7", expect=[0, 7])
    assert action.apply(fine, made.writing(), "key-2").output["code"] == 7
    closed = planned(made, "exec >&- 2>&-; sleep 0.2; exit 0")
    assert action.apply(closed, made.writing(), "key-3").output["stdout"] == ""
