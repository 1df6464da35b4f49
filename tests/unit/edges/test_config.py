"""The configuration: defaults, the file of ten lines, the documented example, secrets that stay away."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contract.registry import load_registry
from engine.contract.world import SecretRef
from engine.edges.config import Config, load_config
from engine.edges.settings.brakes import brake_rules
from engine.language.diagnostics import InvalidProject
from engine.language.yamlcompose import compose
from tests.unit.language.plugins import Settings, small_registry

ROOT = Path(__file__).parents[3]


def load(path: Path, text: str) -> Config:
    file = path / "stanch.yaml"
    file.write_text(text)
    return load_config(file, small_registry())


def mistakes(path: Path, text: str) -> str:
    with pytest.raises(InvalidProject) as caught:
        load(path, text)
    return str(caught.value)


TEN_LINES = """connections:
  cluster: {kind: kubernetes, url: "http://127.0.0.1:8001", allow: {namespaces: [etl]}}
  metrics: {kind: prometheus, url: "http://127.0.0.1:9090"}
roles: {sre: [alice]}
"""


def test_ten_lines_are_enough(tmp_path: Path) -> None:
    config = load(tmp_path, TEN_LINES)
    assert config.kinds == {
        "decisions": "decisions",
        "cluster": "kubernetes",
        "metrics": "prometheus",
    }
    settings = config.connections["cluster"].settings
    assert isinstance(settings, Settings)
    assert settings.allow == {"namespaces": ["etl"]}
    assert config.listen == "127.0.0.1:9780"
    assert config.workers.lease == 5.0
    assert config.intake.max_body == 4 * 2**20
    assert config.approval.role == "sre"


def test_no_file_gives_the_embedded_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("STANCH_CONFIG", raising=False)
    config = load_config(None, small_registry())
    assert config.store == "sqlite:///var/stanch.db"
    assert (config.rules, config.playbooks) == ([], [])  # there are no such folders
    (tmp_path / "rules").mkdir()
    assert load_config(None, small_registry()).rules == [Path("rules")]


def test_changes_by_others_hold_unless_it_is_said_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "stanch.yaml"
    for text, within in (("{}", 600.0), ("brakes: {fresh_changes: {within: 0s}}", None)):
        file.write_text(text)
        fresh = brake_rules(load_config(file, small_registry()).brakes).fresh
        assert (fresh.within if fresh else None) == within
        if fresh is not None:
            assert {"kube-controller-manager", "kubelet"} == fresh.ignore


def test_a_file_that_was_named_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidProject, match="no such configuration file"):
        load_config(tmp_path / "nowhere.yaml", small_registry())
    monkeypatch.setenv("STANCH_CONFIG", str(tmp_path / "nowhere.yaml"))
    with pytest.raises(InvalidProject, match="no such configuration file"):
        load_config(None, small_registry())


def test_relative_paths_count_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "etc").mkdir()
    monkeypatch.chdir(tmp_path)
    config = load(Path("etc"), "rules: [rules]\nsecrets: {a: {file: a.key}}\n")
    assert config.rules == [Path("etc/rules")]
    assert config.store == "sqlite:///etc/var/stanch.db"
    assert config.secrets["a"].file == Path("etc/a.key")
    assert config.keys.seal.file == Path("etc/var/seal.key")
    absolute = load(Path("etc"), "store: sqlite:////data/stanch.db\n")
    assert absolute.store == "sqlite:////data/stanch.db"


def test_the_store_may_be_a_reference(tmp_path: Path) -> None:
    config = load(tmp_path, "store: {env: STANCH_STORE}\n")
    asked: list[SecretRef] = []

    def read(reference: SecretRef) -> str:
        asked.append(reference)
        return "postgresql://stanch@db/stanch"

    assert config.store_url(read) == "postgresql://stanch@db/stanch"
    assert asked == [SecretRef(env="STANCH_STORE")]


@pytest.mark.parametrize(
    "text",
    [
        "intake: {auth: {bearer: hunter2}}",
        "intake: {auth: {basic: {username: u, password: hunter2}}}",
        "secrets: {github: hunter2}",
        "secrets: {github: [hunter2]}",
        "store: postgresql://stanch:hunter2@db/stanch",
        "connections: {a: {kind: postgres, dsn: hunter2}}",
        "connections: {a: {kind: prometheus, url: 'http://x', token: hunter2}}",
        "keys: {seal: hunter2}",
    ],
)
def test_a_secret_written_out_is_refused_and_never_shown(tmp_path: Path, text: str) -> None:
    said = mistakes(tmp_path, text)
    assert "hunter2" not in said
    assert "env" in said


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("workers: {lease: 0s}", "1:18"),
        ("workers: {threads: 0}", "1:20"),
        ("budgets: {pods: {limit: -1, within: 1h}}", "1:25"),
        ("listen: 127.0.0.1", "1:9"),
        ("listen: 127.0.0.1:70000", "1:9"),
        ("store: mysql://x", "1:8"),
        ("intake: {max_body: 1.5}", "1:20"),
    ],
)
def test_mistakes_stand_where_they_are(tmp_path: Path, text: str, place: str) -> None:
    assert f"stanch.yaml:{place}: error" in mistakes(tmp_path, text)


def test_the_example_is_clean_and_shows_every_section() -> None:
    path = ROOT / "config.example.yaml"
    config = load_config(path, load_registry())
    assert set(config.connections) >= {"cluster", "metrics", "starforge"}
    root, _ = compose(path.read_bytes(), "config.example.yaml")
    assert root is not None
    from engine.edges.config import ConfigFile

    assert set(root.keys) == set(ConfigFile.model_fields)
