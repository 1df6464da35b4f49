"""From a request to its answer: faults, path, rights, then the verb."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from engine.domain.canonical import JsonObject
from worlds.cluster import discovery, reads, subresources
from worlds.cluster.bodies import APPLY, JSON_PATCH, MERGE, STRATEGIC
from worlds.cluster.executing import run_in_pod
from worlds.cluster.kinds import Kind, by_path
from worlds.cluster.messages import Call, Request, Response, answer
from worlds.cluster.parts import Parts
from worlds.cluster.requests import Fault
from worlds.cluster.status import (
    ApiError,
    Cause,
    bad_request,
    failure,
    method_not_allowed,
    no_such_path,
    not_found,
    unsupported_media_type,
)
from worlds.cluster.writes import Terms, Written

_VERBS = {
    ("GET", True): "get",
    ("GET", False): "list",
    ("HEAD", True): "get",
    ("POST", False): "create",
    ("POST", True): "create",
    ("PUT", True): "update",
    ("PATCH", True): "patch",
    ("DELETE", True): "delete",
    ("DELETE", False): "deletecollection",
}
_JSON = ("application/json", "application/yaml", "")


def answer_request(cluster: Parts, request: Request) -> Response:
    """Answer one request and note it in the log."""
    with cluster.lock:
        cluster.run()
        version = cluster.store.version
        try:
            fault = cluster.faults.take(request)
            if fault is not None and fault.does in ("status", "reset"):
                raise _faulty(fault)
            if fault is not None and fault.does == "delay":
                cluster.clock.sleep(fault.seconds)
                cluster.run()
                version = cluster.store.version
            response = _dispatch(cluster, request)
            if fault is not None and fault.does == "reset_after":
                response.headers["x-reset"] = "1"  # the carrier breaks the connection
        except ApiError as error:
            response = _refusal(error)
        wrote = cluster.store.version != version or response.frames is not None
        cluster.requests.add(request, response.status, cluster.now().isoformat(), wrote=wrote)
        return response


def _faulty(fault: Fault) -> ApiError:
    if fault.does == "reset":
        return ApiError(500, "", {"x-reset": "1"})
    headers = {"Retry_After": str(fault.retry_after)} if fault.retry_after is not None else {}
    details = {"retryAfterSeconds": fault.retry_after} if fault.retry_after is not None else None
    return failure(fault.code, fault.reason, fault.message, details, **headers)


def _refusal(error: ApiError) -> Response:
    if isinstance(error.body, str):
        return Response(error.code, error.body.encode(), dict(error.headers))
    response = answer(error.body, error.code)
    response.headers |= error.headers
    return response


def _dispatch(cluster: Parts, request: Request) -> Response:
    plain = discovery.answer_plain(request.path)
    if plain is not None:
        return plain
    call = read_call(request)
    cluster.authorizer.require(request.user, call)
    if call.kind.kind == "SelfSubjectAccessReview":
        return answer(subresources.access_review(cluster, request.user, read_body(request)), 201)
    if call.subresource:
        return _subresource(cluster, call, request)
    return _verb(cluster, call, request)


def read_call(request: Request) -> Call:
    """Read what a path and a method ask for.

    Raises:
        ApiError: 404 where the API has no such path, 405 where the method does not fit it.
    """
    parts = [part for part in request.path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise no_such_path()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and by_path(group, version, rest[2]):
        namespace, rest = rest[1], rest[2:]
    kind = by_path(group, version, rest[0])
    if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
        raise no_such_path()
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in kind.subresources:
        raise no_such_path()
    if not kind.namespaced and kind.kind == "Namespace" and name:
        namespace = name
    verb = _VERBS.get((request.method, bool(name)))
    if verb is None or (kind.namespaced and not namespace and verb not in ("list", "watch")):
        raise method_not_allowed()
    if verb == "list" and request.query.get("watch") in ("true", "1"):
        verb = "watch"
    return Call(kind, verb, namespace, name, subresource)


def read_terms(request: Request) -> Terms:
    """Read how a write is meant from its query.

    Raises:
        ApiError: 422 for a value that the server does not know.
    """
    dry_run = request.query.get("dryRun") or ""
    if dry_run not in ("", "All"):
        cause = Cause(
            "dryRun",
            f'Unsupported value: "{dry_run}": supported values: "All"',
            "FieldValueNotSupported",
        )
        message = f' "" is invalid: {cause.field}: {cause.message}'
        raise failure(422, "Invalid", message, {"causes": [cause.as_json()]})
    agent = request.headers.get("user-agent", "").partition("/")[0] or "unknown"
    return Terms(
        manager=request.query.get("fieldManager") or agent,
        dry_run=bool(dry_run),
        validation=request.query.get("fieldValidation") or "Warn",
        force=request.query.get("force") in ("true", "1"),
    )


def read_body(request: Request) -> Any:
    """Return the request's body, decoded.

    Raises:
        ApiError: 400 where it is no JSON or YAML.
    """
    if not request.body:
        return None
    try:
        if request.content_type in (APPLY, "application/yaml"):
            return yaml.safe_load(request.body)
        return json.loads(request.body)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"error decoding request body: {error}") from error


def _home(call: Call) -> str:
    return call.namespace if call.kind.namespaced else ""


def _verb(cluster: Parts, call: Call, request: Request) -> Response:
    kind, home = call.kind, _home(call)
    if call.verb == "get":
        item = cluster.store.get(kind, home, call.name)
        if item is None:
            raise not_found(kind, call.name)
        return answer(item)
    if call.verb == "list":
        return answer(reads.listing(cluster.store, call, request))
    if call.verb == "watch":
        stream = reads.Watch(cluster.store, call, request, lambda: cluster.stopped)
        return Response(200, headers={"Content-Type": "application/json"}, stream=stream)
    terms = read_terms(request)
    if call.verb == "create":
        _accept(request, _JSON)
        return _written(cluster.writer.create(kind, home, read_body(request), terms))
    if call.verb == "update":
        _accept(request, _JSON)
        body = read_body(request)
        return _written(cluster.writer.replace(kind, home, call.name, body, terms=terms))
    if call.verb == "patch":
        _accept(request, (MERGE, STRATEGIC, JSON_PATCH, APPLY))
        patch, form = read_body(request), request.content_type
        if form == APPLY and not request.query.get("fieldManager"):
            raise bad_request(
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value'
            )
        return _written(cluster.writer.patch(kind, home, call.name, patch, form=form, terms=terms))
    return _delete(cluster, call, request, terms)


def _accept(request: Request, forms: tuple[str, ...]) -> None:
    if request.content_type not in forms:
        raise unsupported_media_type()


def _written(written: Written) -> Response:
    return answer(written.item, 201 if written.created else 200, written.warnings)


def _delete(cluster: Parts, call: Call, request: Request, terms: Terms) -> Response:
    options = _delete_options(request)
    dry = terms.dry_run or bool(options.get("dryRun"))
    kind, home = call.kind, _home(call)
    if call.verb == "delete":
        return answer(cluster.deleter.delete(kind, home, call.name, options, dry_run=dry))
    found = reads.listing(cluster.store, call, request)
    for item in found["items"]:
        name = item["metadata"]["name"]
        cluster.deleter.delete(kind, home, name, options, dry_run=dry)
    return answer(found)


def _delete_options(request: Request) -> JsonObject:
    options: JsonObject = read_body(request) or {}
    query: Mapping[str, str] = request.query
    if query.get("propagationPolicy"):
        options["propagationPolicy"] = query["propagationPolicy"]
    if query.get("gracePeriodSeconds"):
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    return options


def _subresource(cluster: Parts, call: Call, request: Request) -> Response:
    kind, home = call.kind, _home(call)
    if call.subresource == "log":
        if call.verb != "get":
            raise method_not_allowed()
        return subresources.pod_log(cluster, home, call.name, request.query)
    if call.subresource == "exec":
        if request.headers.get("upgrade", "").lower() != "websocket":
            raise bad_request("Upgrade request required")
        return run_in_pod(cluster, home, call.name, request)
    if call.subresource == "eviction":
        if call.verb != "create":
            raise method_not_allowed()
        terms = read_terms(request)
        body = subresources.evict(cluster, home, call.name, read_body(request) or {}, terms)
        return answer(body, 201)
    if call.subresource == "scale":
        return _scale(cluster, kind, home, call, request)
    if call.verb == "get":
        item = cluster.store.get(kind, home, call.name)
        if item is None:
            raise not_found(kind, call.name)
        return answer(item)
    terms, body = read_terms(request), read_body(request)
    if call.verb == "patch":
        form = request.content_type
        return _written(
            cluster.writer.patch(kind, home, call.name, body, form=form, terms=terms, part="status")
        )
    return _written(cluster.writer.replace(kind, home, call.name, body, terms=terms, part="status"))


def _scale(cluster: Parts, kind: Kind, home: str, call: Call, request: Request) -> Response:
    item = cluster.store.get(kind, home, call.name)
    if item is None:
        raise not_found(kind, call.name)
    if call.verb == "get":
        return answer(subresources.scale_of(item))
    if call.verb == "patch":
        _accept(request, (MERGE, STRATEGIC, JSON_PATCH))
    body, terms = read_body(request), read_terms(request)
    return answer(
        subresources.rescale(
            cluster, kind, item, body, form=request.content_type, terms=terms, verb=call.verb
        )
    )
