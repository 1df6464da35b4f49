"""The one question of IAM that actions ask, answered from rules: SimulatePrincipalPolicy over HTTP.

    policies = {"arn:aws:iam::123456789012:role/etl": [("s3:Get*", "arn:aws:s3:::etl-output/*")]}
    with IamServer(policies) as server: ...      # endpoint_url: server.url, keys of ADMIN

Everything else is refused, and `calls` says what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from urllib.parse import parse_qsl

from worlds.loopback import Loopback, QuietHandler
from worlds.objects.requests import Answer, Request, S3Error, document, element
from worlds.objects.rights import signer
from worlds.servers.s3 import ADMIN, Identity

Policies = Mapping[str, Sequence[tuple[str, str]]]  # by principal: action and resource, with *
_PAGE = 100


class IamServer(Loopback):
    """Serves the question on a free port of 127.0.0.1.

    Args:
        policies: what each principal may do; everything else is denied.
        identities: who may sign in.
        callers: by the name of an identity, its ARN, whose policy says whether it may ask; one that is
            not listed may.
    """

    def __init__(
        self,
        policies: Policies,
        identities: Sequence[Identity] = (ADMIN,),
        callers: Mapping[str, str] | None = None,
    ) -> None:
        self.policies = dict(policies)
        self.callers = dict(callers or {})
        self.identities = {one.access_key: one for one in identities}
        self.calls: list[str] = []
        super().__init__(_handler(self))

    def answer(self, request: Request) -> Answer:
        """Answer one request of IAM's query protocol."""
        fields = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
        self.calls.append(fields.get("Action", "?"))
        try:
            identity = signer(request, self.identities)
            return self._simulated(fields, self.callers.get(identity.name))
        except S3Error as error:
            code = {"InvalidAccessKeyId": "InvalidClientTokenId"}.get(error.code, error.code)
            inner = element("Code", code) + element("Message", error)
            return document(f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>", error.status)

    def _simulated(self, fields: Mapping[str, str], caller: str | None) -> Answer:
        if fields.get("Action") != "SimulatePrincipalPolicy":
            raise S3Error(400, "InvalidAction", f"{fields.get('Action')} is not played here")
        principal = fields["PolicySourceArn"]
        right = f"iam:{fields['Action']}"
        if caller is not None and not self._allows(caller, right, principal):
            what = f"User: {caller} is not authorized to perform: {right} on resource: {principal}"
            raise S3Error(403, "AccessDenied", what)
        if principal not in self.policies:
            raise S3Error(404, "NoSuchEntity", f"{principal} does not exist")
        asked = [
            (action, resource)
            for action in _members(fields, "ActionNames")
            for resource in _members(fields, "ResourceArns") or ["*"]
        ]
        start = int(fields.get("Marker", 0))
        page, more = asked[start : start + _PAGE], start + _PAGE < len(asked)
        rows = "".join(f"<member>{self._row(principal, *one)}</member>" for one in page)
        told = element("IsTruncated", str(more).lower())
        told += element("Marker", start + _PAGE) if more else ""
        inner = f"<EvaluationResults>{rows}</EvaluationResults>{told}"
        result = f"<SimulatePrincipalPolicyResult>{inner}</SimulatePrincipalPolicyResult>"
        space = "https://iam.amazonaws.com/doc/2010-05-08/"
        name = "SimulatePrincipalPolicyResponse"
        return document(f'<{name} xmlns="{space}">{result}</{name}>')

    def _row(self, principal: str, action: str, resource: str) -> str:
        allowed = self._allows(principal, action, resource)
        row = element("EvalActionName", action) + element("EvalResourceName", resource)
        return row + element("EvalDecision", "allowed" if allowed else "implicitDeny")

    def _allows(self, principal: str, action: str, resource: str) -> bool:
        return any(
            fnmatchcase(action, verb) and fnmatchcase(resource, on)
            for verb, on in self.policies.get(principal, ())
        )


def _members(fields: Mapping[str, str], name: str) -> list[str]:
    found = [
        (int(key.rpartition(".")[2]), value)
        for key, value in fields.items()
        if key.startswith(f"{name}.member.")
    ]
    return [value for _, value in sorted(found)]


def _handler(server: IamServer) -> type[QuietHandler]:
    class Handler(QuietHandler):
        def serve(self) -> None:
            given = Request.of(self.command, self.path, dict(self.headers), self.content())
            made = server.answer(given)
            self.send_response(made.status)
            for name, value in made.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(made.body)))
            self.end_headers()
            self.wfile.write(made.body)

    return Handler
