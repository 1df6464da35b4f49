"""What the server says of itself: version, health, groups and resources."""

from __future__ import annotations

from engine.domain.canonical import JsonObject
from worlds.cluster.kinds import KINDS, REVIEWS, groups
from worlds.cluster.messages import Response, answer

VERSION: JsonObject = {
    "major": "1",
    "minor": "32",
    "gitVersion": "v1.32.13",
    "gitCommit": "63adf010aa20e104c0b7043b47f42f50c9f72b17",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "go1.24.11",
    "compiler": "gc",
    "platform": "linux/amd64",
}


def answer_plain(path: str) -> Response | None:
    """Answer what needs no rights beyond being known, or None where the path is a resource's."""
    path = path.rstrip("/")
    if path == "/version":
        return answer(VERSION)
    if path in ("/healthz", "/readyz", "/livez"):
        return Response(200, b"ok", {"Content-Type": "text/plain; charset=utf-8"})
    if path == "/api":
        return answer({"kind": "APIVersions", "versions": ["v1"]})
    if path == "/apis":
        listed = [_group(group) for group in groups() if group]
        return answer({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed})
    parts = path.split("/")[1:]
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups():
        return answer({"kind": "APIGroup", "apiVersion": "v1"} | _group(parts[1]))
    if parts[0] == "api" and len(parts) == 2:
        return _resources("", parts[1])
    if parts[0] == "apis" and len(parts) == 3:
        return _resources(parts[1], parts[2])
    return None


def _group(group: str) -> JsonObject:
    versions = [
        {"groupVersion": f"{group}/{version}", "version": version} for version in groups()[group]
    ]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def _resources(group: str, version: str) -> Response | None:
    if version not in groups().get(group, []):
        return None
    listed: list[JsonObject] = []
    for kind in KINDS + REVIEWS:
        if (kind.group, kind.version) != (group, version):
            continue
        entry: JsonObject = {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": list(kind.verbs),
        }
        if kind.short_names:
            entry["shortNames"] = list(kind.short_names)
        listed.append(entry)
        for name in kind.subresources:
            verbs = {"log": ["get"], "eviction": ["create"]}.get(name, ["get", "patch", "update"])
            listed.append(
                {
                    "name": f"{kind.plural}/{name}",
                    "singularName": "",
                    "namespaced": kind.namespaced,
                    "kind": {"scale": "Scale", "eviction": "Eviction"}.get(name, kind.kind),
                    "verbs": verbs,
                }
            )
    version_name = f"{group}/{version}" if group else version
    return answer(
        {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": version_name,
            "resources": listed,
        }
    )
