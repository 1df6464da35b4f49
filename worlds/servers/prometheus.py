"""A real Prometheus that scrapes, evaluates rules and sends alerts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from worlds.servers.process import ServerProcess


class PrometheusServer(ServerProcess):
    """Prometheus on 127.0.0.1.

    Args:
        folder: holds the data, the configuration and the log.
        targets: job name to its `host:port` addresses, scraped every `interval`.
        rules: rule files.
        alertmanagers: `host:port` addresses of Alertmanagers.
        interval: seconds between scrapes and between evaluations.
        external_labels: labels added to every alert, such as `cluster`.
        config: a whole configuration instead of the one made from the above (JSON is YAML).
    """

    title = "prometheus"

    def __init__(
        self,
        folder: Path,
        *,
        targets: Mapping[str, Sequence[str]] | None = None,
        rules: Sequence[Path] = (),
        alertmanagers: Sequence[str] = (),
        interval: float = 1.0,
        external_labels: Mapping[str, str] | None = None,
        config: Mapping[str, object] | None = None,
        port: int | None = None,
    ) -> None:
        super().__init__(folder, port=port)
        self.targets = dict(targets or {})
        self.rules = tuple(rules)
        self.alertmanagers = tuple(alertmanagers)
        self.interval = interval
        self.external_labels = dict(external_labels or {})
        self.config = config

    @classmethod
    def missing(cls) -> str | None:
        """Return the package to install, or None."""
        if shutil.which("prometheus"):
            return None
        return "the Debian package prometheus (apt-get install prometheus)"

    def configuration(self) -> Mapping[str, object]:
        """Return the configuration that is written at start."""
        if self.config is not None:
            return self.config
        every = f"{int(self.interval * 1000)}ms"
        return {
            "global": {
                "scrape_interval": every,
                "scrape_timeout": every,
                "evaluation_interval": every,
                "external_labels": self.external_labels,
            },
            "rule_files": [str(path.resolve()) for path in self.rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": list(addresses)}]}
                for job, addresses in self.targets.items()
            ],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": list(self.alertmanagers)}]}]
            },
        }

    def prepare(self) -> Sequence[str]:
        """Write the configuration and return the command."""
        path = self.folder / "prometheus.yml"
        path.write_text(json.dumps(self.configuration(), indent=2))
        return [
            "prometheus",
            f"--config.file={path}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
            # An alert that fires before the first discovery of Alertmanagers (5 s) is dropped and
            # would come again only after a minute.
            "--rules.alert.resend-delay=1s",
            "--log.level=warn",
        ]

    def is_ready(self) -> bool:
        """Whether it serves traffic."""
        return self.answers("/-/ready")
