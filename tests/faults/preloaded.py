"""What `stanch serve` needs for a whole run, so that a fork of this process need not make it.

All is imported, and what is made once a process is made: the command line, the plugins, the models of a
playbook and a configuration as the killed engines have. No file, thread or connection stays open.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import tempfile
from pathlib import Path

from engine.edges.cli.main import run
from tests.faults.killing import PLAYBOOK, RULES, settings_of

NEEDED = (
    *(
        "anyio._backends._asyncio",
        "cryptography.hazmat.primitives.ciphers.aead",
        "httpx",
        "pgparse",
    ),
    *("jsonschema.validators", "kubernetes.client", "kubernetes.config", "psycopg.rows"),
    *("rich.live", "rich.progress", "uvicorn.lifespan.off", "uvicorn.protocols.websockets.auto"),
    *("uvicorn.protocols.http.httptools_impl", "uvloop", "actions.http.pacing"),
    *("actions.postgres.patience", "engine.edges.calling", "engine.edges.cli.serving"),
    *("engine.edges.web.app", "engine.edges.web.front", "engine.edges.wiring"),
    *("engine.journal.migrate", "engine.journal.postgres", "engine.journal.seals"),
    *("engine.journal.sqlite", "engine.journal.sqlite_watch"),
)


def _check() -> None:
    """Check such a playbook: what the check builds, every engine would build."""
    with tempfile.TemporaryDirectory() as place, Path(os.devnull).open("w") as nowhere:
        folder = Path(place)
        (folder / "rules.yaml").write_text(RULES)
        (folder / "repair.yaml").write_text(PLAYBOOK)
        settings = settings_of(folder, 1, "kubeconfig", "http://127.0.0.1:1")
        (folder / "stanch.yaml").write_text(json.dumps(settings))
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            code = run(["--config", str(folder / "stanch.yaml"), "check"])
    assert code == 0, f"the check ended with {code}"


for _name in NEEDED:
    importlib.import_module(_name)
_check()
gc.freeze()  # what is shared stays shared
