"""The `kubernetes` connection: its settings, its client, its allow-list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.kubernetes.client import KubernetesClient, Limits
from actions.kubernetes.guard import Allow, refuse_place
from actions.kubernetes.rbac import manifests
from actions.kubernetes.resources import built_in
from actions.kubernetes.transport import OfficialTransport, Transport, configure
from engine.contract import ConnectionKind, Grant, Opening, SecretRef, Target
from engine.contract.fields import Bytes, Seconds
from engine.domain.canonical import JsonObject


class KubernetesSettings(BaseModel):
    """Settings of a `kubernetes` connection: a kubeconfig, the pod's own account, or a server with a token."""

    model_config = ConfigDict(extra="forbid")

    kubeconfig: Path | None = Field(
        None,
        description="Kubeconfig file; $KUBECONFIG or ~/.kube/config where nothing is given",
        examples=["/etc/stanch/kubeconfig"],
    )
    context: str | None = Field(None, description="Context of the kubeconfig", examples=["prod"])
    in_cluster: bool = Field(False, description="Use the service account of the pod it runs in")
    server: str | None = Field(
        None,
        description="URL of the API server, instead of a kubeconfig",
        pattern=r"^https?://",
        examples=["https://10.0.0.1:6443"],
    )
    token: SecretRef | None = Field(
        None, description="Bearer token for `server`", examples=[{"file": "/run/secrets/token"}]
    )
    ca_file: Path | None = Field(None, description="CA bundle to verify `server` with")
    insecure: bool = Field(False, description="Do not verify the certificate of `server`")
    timeout: Seconds = Field(10.0, gt=0, le=300, description="Longest wait for one answer")
    max_bytes: Bytes = Field(16 * 2**20, gt=0, description="Largest answer taken")
    allow: Allow = Field(
        default_factory=Allow,
        description="Namespaces and kinds that it may touch, whatever is asked",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        ways = [bool(self.kubeconfig or self.context), self.in_cluster, bool(self.server)]
        if sum(ways) > 1:
            raise ValueError("give a kubeconfig, in_cluster or server, one of them")
        if (self.token or self.ca_file or self.insecure) and not self.server:
            raise ValueError("token, ca_file and insecure go with server")
        return self


class KubernetesKind(ConnectionKind):
    """Connections to Kubernetes API servers."""

    kind = "kubernetes"
    Settings = KubernetesSettings

    def open(self, opening: Opening) -> KubernetesClient:
        settings = cast(KubernetesSettings, opening.settings)
        if opening.transport is not None:
            transport: Transport = opening.transport
            return self._client(opening, settings, transport)
        token = opening.secret(settings.token) if settings.token else None
        configuration = configure(
            kubeconfig=settings.kubeconfig,
            context=settings.context,
            in_cluster=settings.in_cluster,
            server=settings.server,
            token=token,
            ca_file=settings.ca_file,
            insecure=settings.insecure,
        )
        transport = OfficialTransport(opening.name, configuration, [token] if token else [])
        return self._client(opening, settings, transport)

    def _client(
        self, opening: Opening, settings: KubernetesSettings, transport: Transport
    ) -> KubernetesClient:
        return KubernetesClient(
            opening.name,
            transport,
            clock=opening.clock,
            writable=opening.writable,
            allow=settings.allow,
            limits=Limits(settings.timeout, settings.max_bytes),
            used=opening.used,
        )

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        import yaml

        del settings
        return str(yaml.safe_dump_all(manifests(grants, user), sort_keys=False))

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        namespace, _, rest = target.path.partition("/")
        kind = rest.partition("/")[0]
        resource = built_in(kind)
        namespaced = resource.namespaced if resource else bool(namespace)
        if kind == "Namespace":
            namespace, namespaced = rest.partition("/")[2], True
        allow = cast(KubernetesSettings, settings).allow
        return refuse_place(allow, namespace, kind, namespaced=namespaced)

    def namespace(self, target: Target) -> str | None:
        return target.path.partition("/")[0] or None

    def check(self, client: KubernetesClient) -> Mapping[str, str]:
        version = client.get_json("/version")
        return {"version": str(version.get("gitVersion", "unknown"))}

    def warm(self, client: KubernetesClient, wanted: Sequence[JsonObject]) -> int:
        """A socket, and where the kinds stand that are not built in: what the server answers to discovery."""
        kinds = [(params.get("api_version"), params.get("kind")) for params in wanted]
        written = [
            (version, kind)
            for version, kind in kinds
            if isinstance(version, str) and isinstance(kind, str) and "{" not in version + kind
        ]
        self.check(client)
        return client.kinds.learn(dict.fromkeys(written))

    def close(self, client: KubernetesClient) -> None:
        client.close()
