"""The `iam` connection: credentials, and a boto3 client that asks one question and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any, cast

from pydantic import BaseModel, Field

from actions.aws.failures import failed
from actions.aws.policy import policy
from actions.aws.settings import AwsSettings
from engine.contract import ActionFailed, Category, ConnectionKind, Grant, Opening, Target

ASKED = "SimulatePrincipalPolicy"


class IamSettings(AwsSettings):
    """Settings of an `iam` connection."""

    allow: list[str] | None = Field(
        None,
        description="ARNs of principals that may be asked about; * stands for any characters",
        examples=[["arn:aws:iam::123456789012:role/etl-*"]],
    )

    def allows(self, principal: str) -> bool:
        return self.allow is None or any(fnmatchcase(principal, one) for one in self.allow)


class IamClient:
    """Simulates policies. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(IamSettings, opening.settings)
        self._boto, self._redactor = self.settings.open("iam", opening)
        self._boto.meta.events.register("before-parameter-build.iam", self._guard)

    def _guard(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        """Runs inside boto3 before every request, whoever makes it."""
        if model.name != ASKED:
            raise self.failure(Category.PERMANENT, f"{model.name} is not asked here; not sent")
        principal = params["PolicySourceArn"]
        if not self.settings.allows(principal):
            what = f"{principal} is not in the allow-list"
            raise self.failure(Category.CONFIGURATION, what)

    def simulate(
        self, principal: str, actions: list[str], resources: list[str], limit: int
    ) -> list[dict[str, Any]]:
        """Return the evaluation results, page by page, at most `limit`.

        Raises:
            ActionFailed: classified; (data) there are more.
        """
        found: list[dict[str, Any]] = []
        with self._calling() as boto:
            pages = boto.get_paginator("simulate_principal_policy").paginate(
                PolicySourceArn=principal, ActionNames=actions, ResourceArns=resources
            )
            for page in pages:
                found += page["EvaluationResults"]
                if len(found) > limit:
                    raise self.failure(Category.DATA, f"over {limit} decisions; ask for fewer")
        return found

    @contextmanager
    def _calling(self) -> Iterator[Any]:
        import botocore.exceptions as problems
        from botocore.parsers import ResponseParserError

        try:
            yield self._boto
        except (problems.ClientError, problems.BotoCoreError, ResponseParserError) as error:
            raise failed(error, self.name, self._redactor, writes=False, kind="iam") from None

    def failure(self, category: Category, what: str) -> ActionFailed:
        message = self._redactor.text(f"iam connection {self.name!r}: {what}")
        return ActionFailed(category, message, effect_possible=False)

    def close(self) -> None:
        self._boto.close()


class IamKind(ConnectionKind):
    """Connections to IAM and to what speaks its API."""

    kind = "iam"
    Settings = IamSettings

    def open(self, opening: Opening) -> IamClient:
        return IamClient(opening)

    def refuses(self, settings: BaseModel, target: Target) -> str | None:
        assert isinstance(settings, IamSettings)
        if settings.allows(target.path):
            return None
        return f"{target.path} is not in the allow-list of connection {target.connection!r}"

    def grant_text(self, settings: BaseModel, grants: Sequence[Grant], user: str) -> str:
        del settings, user  # whom the policy is attached to is said where it is attached
        return json.dumps(policy(grants), indent=2) + "\n"

    def check(self, client: IamClient) -> Mapping[str, str]:
        """There is no question without a principal: that the client opened is all that is known."""
        return {"endpoint": client.settings.endpoint_url or "Amazon IAM"}

    def close(self, client: IamClient) -> None:
        client.close()
