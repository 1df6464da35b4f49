"""A real Alertmanager that groups alerts and posts them to webhooks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from worlds.servers.process import ServerProcess


class AlertmanagerServer(ServerProcess):
    """Alertmanager on 127.0.0.1, outside any cluster.

    Args:
        folder: holds the data, the configuration and the log.
        webhook: the address that every alert is posted to.
        bearer: a token sent with it.
        group_by: labels that make a group.
        group_wait, group_interval, repeat_interval: as Alertmanager writes durations.
        config: a whole configuration instead of the one made from the above (JSON is YAML).
    """

    title = "alertmanager"

    def __init__(
        self,
        folder: Path,
        *,
        webhook: str = "",
        bearer: str | None = None,
        group_by: Sequence[str] = ("alertname", "namespace"),
        group_wait: str = "0s",
        group_interval: str = "2s",
        repeat_interval: str = "1h",
        config: Mapping[str, object] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(folder, port=port)
        self.webhook = webhook
        self.bearer = bearer
        self.route = {
            "receiver": "stanch",
            "group_by": list(group_by),
            "group_wait": group_wait,
            "group_interval": group_interval,
            "repeat_interval": repeat_interval,
        }
        self.config = config

    @classmethod
    def missing(cls) -> str | None:
        """Return the package to install, or None."""
        if shutil.which("prometheus-alertmanager"):
            return None
        return (
            "the Debian package prometheus-alertmanager (apt-get install prometheus-alertmanager)"
        )

    @property
    def address(self) -> str:
        """`host:port`, as Prometheus wants it."""
        return f"127.0.0.1:{self.port}"

    def configuration(self) -> Mapping[str, object]:
        """Return the configuration that is written at start."""
        if self.config is not None:
            return self.config
        hook: dict[str, object] = {"url": self.webhook, "send_resolved": True}
        if self.bearer:
            hook["http_config"] = {"authorization": {"credentials": self.bearer}}
        return {
            "route": self.route,
            "receivers": [{"name": "stanch", "webhook_configs": [hook]}],
        }

    def prepare(self) -> Sequence[str]:
        """Write the configuration and return the command."""
        path = self.folder / "alertmanager.yml"
        path.write_text(json.dumps(self.configuration(), indent=2))
        path.chmod(0o600)
        return [
            "prometheus-alertmanager",
            f"--config.file={path}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={self.address}",
            # With a cluster address it would wait for peers and send the first webhook after 10 s.
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def is_ready(self) -> bool:
        """Whether it serves traffic."""
        return self.answers("/-/ready")
