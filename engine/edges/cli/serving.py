"""`stanch serve`: the engine, its web door, and the signals that stop or reload them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
import uvloop

from engine.domain.errors import InvalidInput, Refused, StanchError
from engine.edges.cli.session import Session
from engine.edges.problems import OK
from engine.edges.web.address import serve_refusal, split_address

GRACE = 10  # seconds for requests in flight once told to stop
GARBAGE = 50_000  # young objects until the collector looks; Python's own is 700
SOON = 1.0  # seconds after the start, when it is ready
SWITCH = 0.02  # seconds; Python's own is 0.005
_LOG = logging.getLogger("stanch")


def serve(session: Session, listen: str | None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises:
        Refused: the address can be reached by others and there is no authentication.
        InvalidInput: the address is malformed or taken.
    """
    log_to_stderr()
    # Every thread here soon waits for the journal by itself; forced switches in between only cost.
    sys.setswitchinterval(SWITCH)
    application = session.application()
    try:
        gc.disable()  # what is loaded now stays; `_settle_down` lets the collector in again
        if listen is not None:
            application.config = application.config.model_copy(update={"listen": listen})
        config, _ = (
            application.config,
            application.project,
        )  # mistakes are told before anything starts
        tokens = application.store.read(lambda tx: bool(tx.tokens.list()))
        refusal = serve_refusal(config, tokens)
        if refusal is not None:
            raise Refused(refusal)
        with _bound(config.listen) as listener:
            web = _web(application)
            application.start_workers()
            _settle_down()
            _announce(session, application, listener)
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_serve(application, web, listener))
    finally:
        gc.enable()
        application.stop()
    session.tell("stopped")
    return OK


class _Server(uvicorn.Server):
    """Leaves signals to us: uvicorn's handlers raise the signal again at the end, which would end the
    process before the steps in flight are finished."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(application: Any, web: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(
        web,
        http="httptools",
        access_log=False,
        log_config=None,
        lifespan="off",
        server_header=False,
        proxy_headers=False,  # nobody's word is taken for where a request comes from
        timeout_graceful_shutdown=GRACE,
    )
    server = _Server(config, application.start_warming)

    def stop() -> None:
        server.force_exit = server.should_exit  # told twice: wait for no request
        server.should_exit = True

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGHUP, _reload_aside, application)
    await server.serve(sockets=[listener])


def _web(application: Any) -> Any:
    """Build the web application with the intake mounted and everything counted."""
    from engine.edges.web.app import create_app
    from engine.edges.web.front import Front
    from engine.edges.web.metrics import Metrics

    metrics = Metrics(application.store, application.triage, application.warmed)
    application.services.observe = metrics.observe
    intake = application.intake_route(metrics.delivered, metrics.answered)
    app = create_app(application, intake, metrics)
    if application.chat is not None:
        app.router.routes.extend(application.chat.routes())
    return Front(intake.endpoint, app)


def _reload_aside(application: Any) -> None:
    """Reload off the event loop: it reads files, and alerts must not wait for that."""
    threading.Thread(target=_reload, args=(application,), name="reload").start()


def _reload(application: Any) -> None:
    try:
        application.reload()
    except StanchError as error:
        _LOG.error("not reloaded, what was loaded stays in force: %s", error)
    else:
        project = application.project
        _LOG.info("reloaded: %d rules, %d playbooks", len(project.rules), len(project.playbooks))


@contextlib.contextmanager
def _bound(listen: str) -> Any:
    host, port = split_address(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise InvalidInput(f"cannot listen on {listen}: {error.strerror}") from error
    with listener:
        yield listener


def _announce(session: Session, application: Any, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    project = application.project
    session.tell(
        f"listening on http://{shown}:{port}  "
        f"({len(project.rules)} rules, {len(project.playbooks)} playbooks, "
        f"{len(application.world.names)} connections)"
    )
    session.tell(f"alerts: POST http://{shown}:{port}/hooks/alertmanager")


def _settle_down() -> None:
    """What is loaded by now stays: the collector need not look at it again and again.

    And what the first alert may load in the middle of its decision is loaded soon after the start.
    """
    loading = threading.Timer(SOON, importlib.import_module, args=("jsonschema",))
    loading.daemon = True
    loading.start()
    gc.freeze()
    gc.set_threshold(GARBAGE, 20, 50)
    gc.enable()


def log_to_stderr() -> None:
    """Write what the engine logs to stderr, with times."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("stanch").setLevel(logging.INFO)
