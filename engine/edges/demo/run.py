"""The demo's entry: sets the stage, tells the story, gives the exit code."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import httpx

from engine.domain.errors import StanchError
from engine.edges.demo.talk import DemoFailed, Talk

FOLDER = Path("var/demo")


def run(
    *, auto: bool = False, as_json: bool = False, stand_ins: bool = False, folder: Path = FOLDER
) -> int:
    """Run the demo in `folder`, which is emptied first. Nothing outside this machine is touched.

    Args:
        auto: approve without asking.
        as_json: print one JSON document at the end; progress goes to stderr.
        stand_ins: use no real PostgreSQL, Prometheus or Alertmanager although they are installed.

    Returns:
        0 when the run succeeded, the rate fell and the journal is intact; 1 otherwise; 2 when it cannot
        run here.
    """
    talk = Talk(sys.stderr if as_json else sys.stdout)
    try:
        # A proxy of the environment must not come between two processes of this machine.
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
        result = _play(talk, folder, auto=auto, stand_ins=stand_ins)
    except DemoFailed as error:
        talk.say(f"FAILED: {error}")
        return 1
    except (StanchError, httpx.HTTPError) as error:
        talk.say(f"FAILED: the server's answer was {type(error).__name__}: {error}")
        return 1
    except FileNotFoundError as error:
        talk.say(f"FAILED: {error}")
        return 2
    except KeyboardInterrupt:
        talk.say("interrupted; everything has been ended")
        return 130
    if as_json:
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    talk.head("Done" if result["ok"] else "FAILED")
    talk.say(f"{result['seconds']} s; everything lies in {folder}, every process has ended")
    return 0 if result["ok"] else 1


def _play(talk: Talk, folder: Path, *, auto: bool, stand_ins: bool) -> dict[str, object]:
    from engine.edges.demo.stage import Stage
    from engine.edges.demo.story import Story

    talk.head("The stage")
    with Stage(folder, talk, stand_ins=stand_ins) as stage:
        return Story(stage, talk, auto=auto).tell()
