"""The configuration: `stanch.yaml`, or $STANCH_CONFIG, or --config. Everything has a default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from engine.contract.registry import Registry, load_registry
from engine.contract.world import PERSONAL, SecretRef
from engine.edges.desk.directory import Directory
from engine.edges.settings import escalation
from engine.edges.settings.approval import ApprovalConfig, check_approval
from engine.edges.settings.brakes import BrakesConfig, BudgetLimit, check_brakes
from engine.edges.settings.chat import ChatConfig, check_chat
from engine.edges.settings.connections import Connection, read_connection, written_kinds
from engine.edges.settings.escalation import EscalationConfig
from engine.edges.settings.escalationcheck import check_escalation
from engine.edges.settings.incidents import IncidentsConfig
from engine.edges.settings.people import People, Roles, check_people, directory_of
from engine.edges.settings.server import (
    IntakeConfig,
    KeysConfig,
    Listen,
    PathText,
    RetentionConfig,
    StoreUrl,
    WarmupConfig,
    WorkersConfig,
)
from engine.edges.settings.slack import SlackConfig, check_slack
from engine.language.diagnostics import (
    Diagnostic,
    InvalidProject,
    Report,
    arranged,
    clipped,
    listed,
)
from engine.language.explain import read_form
from engine.language.forms import Form
from engine.language.projectfiles import read_source
from engine.language.yamlnodes import Node

DEFAULT_PATH = "stanch.yaml"
_NAME = re.compile(r"[a-z][a-z0-9_-]*\Z")


class ConfigFile(Form):
    """The configuration of Stanch."""

    store: StoreUrl = Field(
        "sqlite:///var/stanch.db", description="SQLite file or PostgreSQL database"
    )
    listen: Listen = Field("127.0.0.1:9780", description="Address and port of the server")
    rules: list[PathText] = Field([Path("rules")], description="Files or folders of rules")
    playbooks: list[PathText] = Field(
        [Path("playbooks")], description="Files or folders of playbooks"
    )
    actions: list[PathText] = Field([], description="Folders of plugin modules")
    connections: Annotated[
        dict[str, Any],
        WithJsonSchema(
            {"type": "object", "additionalProperties": {"x-ref": "#/$defs/ConnectionSettings"}}
        ),
    ] = Field({}, description="The systems outside, by name")
    intake: IntakeConfig = Field(IntakeConfig(), description="How alerts come in")
    roles: Roles = Field({}, description="Who has which role")
    people: People = Field({}, description="Which identities are one person")
    secrets: dict[str, SecretRef] = Field({}, description="What secret('name') stands for")
    approval: ApprovalConfig = Field(
        ApprovalConfig(), description="The gate that mode: approve puts before the first change"
    )
    decisions_log: PathText = Field(
        Path("var/decisions.log"), description="Where log.decision writes"
    )
    workers: WorkersConfig = Field(WorkersConfig(), description="The workers of this process")
    warmup: WarmupConfig = Field(WarmupConfig(), description="What is fetched before runs need it")
    budgets: dict[str, BudgetLimit] = Field({}, description="Blast radius of all runs, by unit")
    brakes: BrakesConfig = Field(BrakesConfig(), description="What else holds runs back")
    retention: RetentionConfig = Field(
        RetentionConfig(), description="How long before-images and artifacts are kept"
    )
    keys: KeysConfig = Field(KeysConfig(), description="Keys kept outside the store")
    chat: ChatConfig = Field(ChatConfig(), description="How incidents are told to people")
    slack: SlackConfig | None = Field(None, description="The app that speaks in Slack")
    escalation: EscalationConfig = Field(
        EscalationConfig(), description="Who is called, how, and in which order"
    )
    incidents: IncidentsConfig = Field(
        IncidentsConfig(), description="What is kept with an incident"
    )


class Config(ConfigFile):
    """The configuration made ready: paths beside the file, connections checked by their kinds.

    Attributes:
        connections: by name; `settings` is the kind's own model.
        path: the file it was read from, None for the embedded default.
    """

    connections: dict[str, Connection] = Field({})
    path: Path | None = Field(None)

    @property
    def kinds(self) -> dict[str, str]:
        """Each connection's kind, by its name; the decisions log is one without being written."""
        written = {name: one.kind for name, one in self.connections.items()}
        return {"decisions": "decisions", **written}

    @property
    def personal(self) -> frozenset[str]:
        """The connections whose data is of people."""
        found = self.connections.items()
        return frozenset(name for name, one in found if one.data_class == PERSONAL)

    @cached_property
    def directory(self) -> Directory:
        """The people, their identities and their roles."""
        return directory_of(self.roles, self.people)

    def store_url(self, read: Callable[[SecretRef], str]) -> str:
        """Return the store's URL; `read` resolves a secret reference."""
        return self.store if isinstance(self.store, str) else read(self.store)


def default_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the configuration is looked for when no path is given."""
    return Path(environ.get("STANCH_CONFIG") or DEFAULT_PATH)


def locate_config(path: Path | str | None = None) -> Path | None:
    """Return the configuration's file, or None where the embedded default holds.

    Args:
        path: None: $STANCH_CONFIG, else stanch.yaml. A missing stanch.yaml is no mistake.

    Raises:
        InvalidProject: a file that was named is not there.
    """
    chosen = Path(path) if path is not None else default_path()
    if chosen.is_file():
        return chosen
    if chosen == Path(DEFAULT_PATH) and not chosen.exists():
        return None
    hint = "check the path; config.example.yaml shows what can stand in it"
    message = "there is no such configuration file"
    raise InvalidProject([Diagnostic(chosen.as_posix(), 1, 1, message, hint=hint)])


def load_config(
    path: Path | str | None = None, registry: Registry | None = None, *, default: bool = False
) -> Config:
    """Read the configuration.

    Args:
        path: see `locate_config`.
        registry: the actions and connection kinds; None loads the installed ones and `actions:`.
        default: return the embedded default, whatever files there are.

    Raises:
        InvalidProject: with every mistake of the file, or where a file that was named is not there.
    """
    chosen = None if default else locate_config(path)
    if chosen is None:
        return _existing(Config(path=None), set())
    report = Report()
    root = read_source(chosen, report)
    config = read_config(root, registry, report) if root is not None else None
    if config is None or report.failed:
        raise InvalidProject(arranged(report.diagnostics))
    return config


def check_config(root: Node, registry: Registry | None = None) -> list[Diagnostic]:
    """Return every mistake of a configuration file."""
    report = Report()
    read_config(root, registry, report)
    return report.diagnostics


def read_config(root: Node, registry: Registry | None, report: Report) -> Config | None:
    """Read a configuration from its YAML tree; report what is wrong with it."""
    form = read_form(ConfigFile, root, report, what="the configuration", sections=_ELSEWHERE)
    _check_names(root, report)
    _check_auth(root, report)
    if isinstance(root.value, dict):
        check_people(root, report)
        check_approval(root, report)
        check_chat(root, report)
        check_slack(root, report)
        check_brakes(root, report)
    if form is None:
        return None
    path = Path(root.source.name)
    base = path.parent
    if registry is None:
        registry = load_registry(base / folder for folder in form.actions)
    node = root.get("connections")
    connections = {
        name: connection
        for name, item in (node.entries() if node is not None else ())
        if (connection := read_connection(name, item, registry, report)) is not None
    }
    check_escalation(root, written_kinds(node), report)
    values = {name: getattr(form, name) for name in ConfigFile.model_fields}
    values |= {"connections": connections, "path": path}
    return _existing(_beside(Config.model_construct(**values), base), set(root.keys))


_ELSEWHERE = {
    "database": "write store:",
    "port": "write listen: 127.0.0.1:9780",
    "host": "write listen: 127.0.0.1:9780",
    "users": "write roles:, who has which role",
    "plugins": "write actions:",
}


def _check_names(root: Node, report: Report) -> None:
    for section in ("connections", "roles", "secrets"):
        node = root.get(section)
        for name in node.keys if node is not None else ():
            assert node is not None
            if not _NAME.match(name):
                hint = f"write for example {re.sub('[^a-z0-9]+', '_', name.lower()).strip('_')}"
                message = f"{clipped(name)} is no name of small letters, digits, - and _"
                report.error(node.key(name), message, hint=hint)


def _check_auth(root: Node, report: Report) -> None:
    auth = root.at("intake").get("auth") if root.get("intake") else None
    if auth is not None and isinstance(auth.value, dict) and len(auth.value) != 1:
        found = listed(auth.keys) if auth.keys else "an empty mapping"
        report.error(
            auth,
            "intake.auth is one way in",
            found=found,
            expected="bearer or basic",
            hint="keep one of them",
        )


def _beside(config: Config, base: Path) -> Config:
    """Return the configuration with its relative paths counted from its own folder."""
    if base == Path():
        return config
    paths = {
        name: [base / path for path in getattr(config, name)]
        for name in ("rules", "playbooks", "actions")
    }
    store = config.store
    if isinstance(store, str) and store.startswith("sqlite:///") and not store[10:].startswith("/"):
        store = f"sqlite:///{(base / store[10:]).as_posix()}"
    keys = KeysConfig(
        images=_file_beside(config.keys.images, base), seal=_file_beside(config.keys.seal, base)
    )
    secrets = {name: _file_beside(one, base) for name, one in config.secrets.items()}
    log = base / config.decisions_log
    calls = escalation.beside(config.escalation, base)
    incidents = config.incidents
    if incidents.templates is not None:
        incidents = incidents.model_copy(update={"templates": base / incidents.templates})
    slack = config.slack
    if slack is not None:
        slack = slack.model_copy(
            update={
                name: _file_beside(reference, base)
                for name in ("token", "signing_secret", "app_token")
                if (reference := getattr(slack, name)) is not None
            }
        )
    changes = {
        **paths,
        "slack": slack,
        "store": store,
        "keys": keys,
        "secrets": secrets,
        "decisions_log": log,
        "escalation": calls,
        "incidents": incidents,
    }
    return config.model_copy(update=changes)


def _file_beside(secret: SecretRef, base: Path) -> SecretRef:
    return SecretRef(file=base / secret.file) if secret.file is not None else secret


def _existing(config: Config, written: set[str]) -> Config:
    """Return the configuration without default folders that are not there."""
    changes: dict[str, list[Path]] = {}
    for name in ("rules", "playbooks"):
        if name not in written:
            changes[name] = [path for path in getattr(config, name) if path.exists()]
    return config.model_copy(update=changes)
