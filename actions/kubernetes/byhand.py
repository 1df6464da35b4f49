"""kubectl, for a person."""

from __future__ import annotations

from typing import Any

from engine.contract.byhand import ByHand, Given, Hand, command, mapping, note, option, secret


def kubectl(given: Given, at: ByHand, *words: Any) -> str:
    settings = at.of(given)
    head: list[Any] = ["kubectl"]
    if settings is not None:
        head += option("--kubeconfig", str(settings.kubeconfig) if settings.kubeconfig else None)
        head += option("--context", settings.context)
        head += option("--server", settings.server)
        if settings.server and settings.token:
            head += ["--token", secret(settings.token)]
    head += option("-n", given.get("namespace"))
    return command(*head, *words)


def _name(given: Given, kind: str | None = None) -> str:
    return f"{str(kind or given.get('kind', 'Deployment')).lower()}/{given.get('name', '<name>')}"


def _saved(given: Given, at: ByHand, kind: str | None = None) -> str:
    """Keep the object as it was: what the way back is made from."""
    name = _name(given, kind)
    file = f"before-{name.replace('/', '-')}.yaml"
    return f"{kubectl(given, at, 'get', name, '-o', 'yaml')} > {command(file)}"


def _back(given: Given, at: ByHand, kind: str | None = None) -> list[str]:
    name = _name(given, kind)
    file = f"before-{name.replace('/', '-')}.yaml"
    return [
        note("give only the changed fields their values in the saved file back"),
        kubectl(given, at, "diff", "-f", file),
        kubectl(given, at, "edit", name),
    ]


def _rolled(given: Given, at: ByHand) -> list[str]:
    if given.get("wait") is False:
        return []
    return [kubectl(given, at, "rollout", "status", _name(given), "--timeout=10m")]


def get(_: object, given: Given, at: ByHand) -> Hand:
    kind = str(given.get("kind", "<kind>"))
    if kind.lower() == "secret":
        return Hand([kubectl(given, at, "describe", _name(given))])
    return Hand([kubectl(given, at, "get", _name(given), "-o", "yaml")])


def recent_changes(_: object, given: Given, at: ByHand) -> Hand:
    listed = [each for each in given.get("objects") or [] if isinstance(each, dict)]
    shown = ["-o", "yaml", "--show-managed-fields"]
    names = [_name(each) for each in listed] or ["<kind>/<name>"]
    return Hand([kubectl(given, at, "get", name, *shown) for name in names])


def listed(_: object, given: Given, at: ByHand) -> Hand:
    chosen = [*option("-l", given.get("labels")), *option("--field-selector", given.get("fields"))]
    return Hand([kubectl(given, at, "get", str(given.get("kind", "<kind>")).lower(), *chosen)])


def logs(_: object, given: Given, at: ByHand) -> Hand:
    job, pod = given.get("job"), given.get("pod")
    which: list[Any] = (
        [f"job/{job}"] if job else [pod] if pod else option("-l", given.get("labels"))
    )
    more = [*option("-c", given.get("container")), *option("--since", given.get("since"))]
    if given.get("previous") is True:
        more.append("--previous")
    line = kubectl(given, at, "logs", *which, f"--tail={given.get('tail', 200)}", *more)
    pattern = given.get("pattern")
    return Hand([f"{line} | {command('grep', '-E', pattern)}" if pattern else line])


def describe(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([kubectl(given, at, "describe", _name(given))])


def events(_: object, given: Given, at: ByHand) -> Hand:
    wanted = {
        "involvedObject.kind": given.get("kind"),
        "involvedObject.name": given.get("name"),
        "type": given.get("type"),
        "reason": given.get("reason"),
    }
    chosen = ",".join(f"{name}={value}" for name, value in wanted.items() if value)
    more = option("--field-selector", chosen)
    return Hand([kubectl(given, at, "get", "events", "--sort-by=.lastTimestamp", *more)])


def can_i(_: object, given: Given, at: ByHand) -> Hand:
    verbs = given.get("verbs")
    kind = str(given.get("kind", "<kind>")).lower()
    return Hand(
        [
            kubectl(given, at, "auth", "can-i", verb, kind, *option("--subresource", given.get("subresource")))
            for verb in (verbs if isinstance(verbs, list) else [verbs])
        ]
    )  # fmt: skip


def secret_check(_: object, given: Given, at: ByHand) -> Hand:
    name = f"secret/{given.get('name', '<name>')}"
    return Hand(
        [note("shows which keys there are, no values"), kubectl(given, at, "describe", name)]
    )


def rollout_status(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([kubectl(given, at, "rollout", "status", _name(given), "--watch=false")])


def rollout_wait(_: object, given: Given, at: ByHand) -> Hand:
    within = given.get("within", "5m")
    limit = f"{within}s" if isinstance(within, int | float) else within
    return Hand([kubectl(given, at, "rollout", "status", _name(given), f"--timeout={limit}")])


def job_wait(_: object, given: Given, at: ByHand) -> Hand:
    name = f"job/{given.get('name', '<name>')}"
    return Hand(
        [
            kubectl(given, at, "wait", "--for=condition=complete", name, "--timeout=10m"),
            kubectl(given, at, "logs", name, f"--tail={given.get('tail', 100)}"),
        ]
    )


def cronjob_history(_: object, given: Given, at: ByHand) -> Hand:
    return Hand(
        [
            kubectl(given, at, "get", f"cronjob/{given.get('name', '<name>')}"),
            kubectl(given, at, "get", "jobs", "--sort-by=.status.startTime"),
        ]
    )


def patch(_: object, given: Given, at: ByHand) -> Hand:
    form = given.get("type") or "strategic"
    line = kubectl(given, at, "patch", _name(given), f"--type={form}", "-p", given.get("patch", {}))
    return Hand([_saved(given, at), line], _back(given, at))


def scale(_: object, given: Given, at: ByHand) -> Hand:
    replicas = given.get("replicas", "<replicas>")
    look = kubectl(given, at, "get", _name(given), "-o", "jsonpath={.spec.replicas}")
    return Hand(
        [
            note("note this number for the way back"),
            look,
            kubectl(given, at, "scale", _name(given), f"--replicas={replicas}"),
            *_rolled(given, at),
        ],
        [kubectl(given, at, "scale", _name(given), "--replicas=<the number noted before>")],
    )


def rollout_restart(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([kubectl(given, at, "rollout", "restart", _name(given)), *_rolled(given, at)])


def rollout_undo(_: object, given: Given, at: ByHand) -> Hand:
    revision = given.get("to_revision")
    more = [f"--to-revision={revision}"] if revision else []
    return Hand(
        [
            note("note the revision that is in use"),
            kubectl(given, at, "rollout", "history", _name(given)),
            kubectl(given, at, "rollout", "undo", _name(given), *more),
            *_rolled(given, at),
        ],
        [
            kubectl(
                given, at, "rollout", "undo", _name(given), "--to-revision=<the one noted before>"
            )
        ],
    )


def _suspension(given: Given, at: ByHand, suspend: bool) -> str:
    body = {"spec": {"suspend": suspend}}
    return kubectl(given, at, "patch", _name(given, "CronJob"), "--type=merge", "-p", body)


def cronjob_suspend(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([_suspension(given, at, True)], [_suspension(given, at, False)])


def cronjob_resume(_: object, given: Given, at: ByHand) -> Hand:
    return Hand([_suspension(given, at, False)], [_suspension(given, at, True)])


_CRONJOB = {
    "schedule": "schedule",
    "time_zone": "timeZone",
    "concurrency": "concurrencyPolicy",
    "keep_succeeded": "successfulJobsHistoryLimit",
    "keep_failed": "failedJobsHistoryLimit",
    "start_within": "startingDeadlineSeconds",
}


def cronjob_set(_: object, given: Given, at: ByHand) -> Hand:
    spec: dict[str, Any] = {to: given[name] for name, to in _CRONJOB.items() if name in given}
    job: dict[str, Any] = {}
    if "backoff_limit" in given:
        job["backoffLimit"] = given["backoff_limit"]
    if "deadline" in given:
        job["activeDeadlineSeconds"] = given["deadline"]
    resources = {name: given[name] for name in ("requests", "limits") if given.get(name)}
    env = [{"name": name, "value": value} for name, value in mapping(given.get("env")).items()]
    if resources or env:
        container: dict[str, Any] = {"name": given.get("container") or "<container>"}
        container |= {"resources": resources} if resources else {}
        container |= {"env": env} if env else {}
        job["template"] = {"spec": {"containers": [container]}}
    if job:
        spec["jobTemplate"] = {"spec": job}
    name = _name(given, "CronJob")
    line = kubectl(given, at, "patch", name, "--type=strategic", "-p", {"spec": spec})
    return Hand([_saved(given, at, "CronJob"), line], _back(given, at, "CronJob"))


def set_image(_: object, given: Given, at: ByHand) -> Hand:
    container = given.get("container") or "<container>"
    word = f"{container}={given.get('image', '<image>')}"
    lines = [_saved(given, at), kubectl(given, at, "set", "image", _name(given), word)]
    return Hand([*lines, *_rolled(given, at)], _back(given, at))


def set_resources(_: object, given: Given, at: ByHand) -> Hand:
    words = [
        f"--{name}=" + ",".join(f"{unit}={amount}" for unit, amount in given[name].items())
        for name in ("requests", "limits")
        if isinstance(given.get(name), dict) and given[name]
    ]
    chosen = option("-c", given.get("container"))
    line = kubectl(given, at, "set", "resources", _name(given), *chosen, *words)
    return Hand([_saved(given, at), line, *_rolled(given, at)], _back(given, at))


def set_env(_: object, given: Given, at: ByHand) -> Hand:
    env = given.get("env")
    words = (
        [f"{name}-" if value is None else f"{name}={value}" for name, value in env.items()]
        if isinstance(env, dict)
        else ["<NAME=value>"]
    )
    chosen = option("-c", given.get("container"))
    line = kubectl(given, at, "set", "env", _name(given), *chosen, *words)
    return Hand([_saved(given, at), line, *_rolled(given, at)], _back(given, at))


def configmap_merge(_: object, given: Given, at: ByHand) -> Hand:
    lines = [_saved(given, at, "ConfigMap")]
    if given.get("data"):
        body = {"data": given["data"]}
        lines.append(
            kubectl(given, at, "patch", _name(given, "ConfigMap"), "--type=merge", "-p", body)
        )
    if given.get("merge"):
        wanted = command(given["merge"])
        lines.append(note(f"in the YAML under the key {given.get('entry')}, set: {wanted}"))
        lines.append(kubectl(given, at, "edit", _name(given, "ConfigMap")))
    return Hand(lines, _back(given, at, "ConfigMap"))


def secret_set(_: object, given: Given, at: ByHand) -> Hand:
    data = given.get("data")
    keys = ", ".join(data) if isinstance(data, dict) else "<keys>"
    name = _name(given, "Secret")
    return Hand(
        [
            note(
                f"set these keys, base64, without leaving the values in a file or a history: {keys}"
            ),
            kubectl(given, at, "edit", name),
        ],
        [note("only by hand: keep the old values in the vault they came from")],
    )


def job_from_cronjob(_: object, given: Given, at: ByHand) -> Hand:
    name = given.get("name", "<name>")
    job = f"{name}-by-hand"
    more = (
        [note(f"with these variables changed: {', '.join(given['env'])}")]
        if given.get("env")
        else []
    )
    make = kubectl(given, at, "create", "job", job, f"--from=cronjob/{name}")
    return Hand([*more, make], [kubectl(given, at, "delete", "job", job)])


def debug_pod(_: object, given: Given, at: ByHand) -> Hand:
    name = f"{given.get('name', 'debug')}-by-hand"
    wanted = given.get("command")
    words = wanted if isinstance(wanted, list) else ["<command>"]
    image = f"--image={given.get('image', '<image>')}"
    line = kubectl(
        given, at, "run", name, image, "--restart=Never", "--attach", "--command", "--", *words
    )
    return Hand([line], [kubectl(given, at, "delete", "pod", name)])


def jobs_clean(_: object, given: Given, at: ByHand) -> Hand:
    labels = option("-l", given.get("labels"))
    condition = given.get("condition", "Failed")
    chosen = [*labels]
    look = kubectl(given, at, "get", "jobs", *chosen, "--sort-by=.status.startTime")
    return Hand(
        [
            note(f"look, then delete one by one those that are {condition}; it cannot be undone"),
            look,
            kubectl(given, at, "delete", "job", "<name>"),
        ]
    )


def delete_pod(_: object, given: Given, at: ByHand) -> Hand:
    grace = given.get("grace")
    more = [] if grace is None else [f"--grace-period={grace}"]
    return Hand([kubectl(given, at, "delete", "pod", given.get("name", "<name>"), *more)])


def evict(_: object, given: Given, at: ByHand) -> Hand:
    return Hand(
        [
            note("kubectl has no eviction of one pod; a deletion does not ask disruption budgets: look first"),
            kubectl(given, at, "get", "poddisruptionbudgets"),
            kubectl(given, at, "delete", "pod", given.get("name", "<name>")),
        ]
    )  # fmt: skip


def execute(_: object, given: Given, at: ByHand) -> Hand:
    wanted = given.get("command")
    words = wanted if isinstance(wanted, list) else ["<command>"]
    name, chosen = given.get("name", "<name>"), option("-c", given.get("container"))
    return Hand([kubectl(given, at, "exec", name, *chosen, "--", *words)])
