"""Parameters that the actions share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from actions.kubernetes.changing import Object, target_of
from actions.kubernetes.resources import built_in
from engine.contract import ActionFailed, ActionParams, Category, Grant, Target
from engine.domain.canonical import JsonObject


class InCluster(ActionParams):
    """Which cluster and namespace."""

    connection: str = Field(description="A kubernetes connection", examples=["cluster"])
    namespace: str | None = Field(
        None,
        description="Namespace; missing for kinds that have none",
        examples=["starforge"],
        min_length=1,
    )


class Named(InCluster):
    """One object."""

    kind: str = Field(description="The object's kind", examples=["Deployment"], min_length=1)
    name: str = Field(description="The object's name", examples=["etl-worker"], min_length=1)
    api_version: str | None = Field(
        None,
        description="Its apiVersion, for kinds that are not built in",
        examples=["argoproj.io/v1alpha1"],
    )

    @property
    def object(self) -> Object:
        """The object, once it is certain that a namespaced kind has its namespace.

        Raises:
            ActionFailed: (permanent) a namespace is missing.
        """
        return object_of(self, self.kind, self.name, self.api_version)

    @property
    def target(self) -> Target:
        return target_of(self.connection, self.namespace or "", self.kind, self.name)


class OfKind(InCluster):
    """One object of a kind that the action itself knows."""

    known: ClassVar[str]
    name: str = Field(description="The object's name", examples=["etl-hourly"], min_length=1)

    @property
    def kind(self) -> str:
        return self.known

    @property
    def api_version(self) -> str | None:
        return None

    @property
    def object(self) -> Object:
        """The object; see `Named.object`."""
        return object_of(self, self.kind, self.name)

    @property
    def target(self) -> Target:
        return target_of(self.connection, self.namespace or "", self.kind, self.name)


def object_of(params: InCluster, kind: str, name: str, version: str | None = None) -> Object:
    """Return an object of the parameters' cluster and namespace.

    Raises:
        ActionFailed: (permanent) the kind is namespaced and a namespace is missing.
    """
    resource = built_in(kind, version)
    if resource is not None and resource.namespaced and params.namespace is None:
        what = f"{kind} {name!r} needs a namespace; set it here or in defaults"
        raise ActionFailed(Category.PERMANENT, what, effect_possible=False)
    namespace = params.namespace if resource is None or resource.namespaced else None
    return Object(params.connection, kind, version, namespace or "", name)


def grant(
    params: InCluster,
    kind: str,
    verbs: list[str],
    *,
    subresource: str = "",
    version: str | None = None,
) -> Grant:
    """Return the right to `verbs` on a kind; a kind that is not built in is named by its guess."""
    resource = built_in(kind, version)
    group = resource.group if resource else (version or "").rpartition("/")[0]
    plural = resource.plural if resource else f"{kind.lower()}s"
    detail: JsonObject = {
        "verbs": verbs,
        "group": group,
        "resource": f"{plural}/{subresource}" if subresource else plural,
        "namespace": params.namespace or "",
    }
    return Grant(params.connection, "kubernetes", detail)
