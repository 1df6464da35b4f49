"""The `iam` connection: credentials, and a boto3 client that asks one question and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.aws import client as aws
from actions.aws.failures import failed
from engine.contract import ActionFailed, Category, ConnectionKind, Opening, SecretRef, Target
from engine.contract.fields import Seconds
from engine.contract.redact import Redactor

ASKED = "SimulatePrincipalPolicy"


class IamSettings(BaseModel):
    """Settings of an `iam` connection."""

    model_config = ConfigDict(extra="forbid")

    endpoint_url: str | None = Field(
        None,
        description="The server; Amazon's own where missing",
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        examples=["http://127.0.0.1:8444"],
    )
    region: str = Field("us-east-1", description="Region that requests are signed for")
    access_key: SecretRef | None = Field(None, description="Access key id")
    secret_key: SecretRef | None = Field(None, description="Secret access key")
    session_token: SecretRef | None = Field(None, description="Token of temporary credentials")
    ca: Path | None = Field(None, description="CA bundle to verify the server with")
    verify: bool = Field(True, description="Whether to verify the server's certificate")
    timeout: Seconds = Field(20.0, gt=0, le=300, description="Longest wait for one answer")
    connect_timeout: Seconds = Field(5.0, gt=0, le=60, description="Longest wait for a connection")
    allow: list[str] | None = Field(
        None,
        description="ARNs of principals that may be asked about; * stands for any characters",
        examples=[["arn:aws:iam::123456789012:role/etl-*"]],
    )

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError(
                "give access_key and secret_key, or neither for the machine's own role"
            )
        return self

    def allows(self, principal: str) -> bool:
        return self.allow is None or any(fnmatchcase(principal, one) for one in self.allow)


class IamClient:
    """Simulates policies. Safe to share between threads."""

    def __init__(self, opening: Opening) -> None:
        self.name = opening.name
        self.settings = cast(IamSettings, opening.settings)
        given = [self.settings.access_key, self.settings.secret_key, self.settings.session_token]
        access, key, token = [None if one is None else opening.secret(one) for one in given]
        self._redactor = Redactor([one for one in (access, key, token) if one])
        self._boto = aws.opened(
            "iam",
            region=self.settings.region,
            access_key=access,
            secret_key=key,
            session_token=token,
            connect_timeout=self.settings.connect_timeout,
            read_timeout=self.settings.timeout,
            endpoint_url=self.settings.endpoint_url,
            verify=str(self.settings.ca) if self.settings.ca else self.settings.verify,
        )
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

        try:
            yield self._boto
        except (problems.ClientError, problems.BotoCoreError) as error:
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

    def check(self, client: IamClient) -> Mapping[str, str]:
        """There is no question without a principal: that the client opened is all that is known."""
        return {"endpoint": client.settings.endpoint_url or "Amazon IAM"}

    def close(self, client: IamClient) -> None:
        client.close()
