"""Settings that the connections to Amazon's APIs share."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from actions.aws.client import opened
from engine.contract import Opening, SecretRef
from engine.contract.fields import Seconds
from engine.contract.redact import Redactor


class AwsSettings(BaseModel):
    """Where the server is, who asks, and how long an answer may take."""

    model_config = ConfigDict(extra="forbid")

    endpoint_url: str | None = Field(
        None,
        description="The server; Amazon's own where missing",
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        examples=["http://127.0.0.1:8333"],
    )
    region: str = Field("us-east-1", description="Region that requests are signed for")
    access_key: SecretRef | None = Field(None, description="Access key id")
    secret_key: SecretRef | None = Field(None, description="Secret access key")
    session_token: SecretRef | None = Field(None, description="Token of temporary credentials")
    ca: Path | None = Field(None, description="CA bundle to verify the server with")
    verify: bool = Field(True, description="Whether to verify the server's certificate")
    timeout: Seconds = Field(20.0, gt=0, le=300, description="Longest wait for one answer")
    connect_timeout: Seconds = Field(5.0, gt=0, le=60, description="Longest wait for a connection")

    @model_validator(mode="after")
    def _both_keys(self) -> Self:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError(
                "give access_key and secret_key, or neither for the machine's own role"
            )
        return self

    def open(self, service: str, opening: Opening, **config: Any) -> tuple[Any, Redactor]:
        """Open a boto3 client of `service`; return it and what masks its credentials.

        The key id only names who signs, and servers repeat it in errors; it is masked all the same.

        Raises:
            ActionFailed: (configuration) a secret cannot be resolved.
        """
        given = (self.access_key, self.secret_key, self.session_token)
        access, key, token = (None if one is None else opening.secret(one) for one in given)
        client = opened(
            service,
            region=self.region,
            access_key=access,
            secret_key=key,
            session_token=token,
            connect_timeout=self.connect_timeout,
            read_timeout=self.timeout,
            endpoint_url=self.endpoint_url,
            verify=str(self.ca) if self.ca else self.verify,
            **config,
        )
        if (
            opening.transport is not None
        ):  # a rehearsal's world, which answers this client's requests
            opening.transport(client)
        return client, Redactor([one for one in (access, key, token) if one])
