"""Opening a boto3 client that tries once and keeps to what it is given."""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, cast

from actions.pace import pace_pools


def opened(
    service: str,
    *,
    region: str,
    access_key: str | None,
    secret_key: str | None,
    session_token: str | None,
    connect_timeout: float,
    read_timeout: float,
    endpoint_url: str | None,
    verify: str | bool,
    **config: Any,
) -> Any:
    """Return a boto3 client that tries once and looks for credentials elsewhere only where none are given.

    Args:
        connect_timeout, read_timeout: seconds.
        config: more of botocore's `Config`.
    """
    from botocore.config import Config

    # Credentials that are looked up elsewhere are looked up anew by each client.
    session = _known_session if access_key else _session
    with _opening:  # clients may be shared between threads, sessions not
        client = session(region, access_key, secret_key, session_token).client(
            service,
            endpoint_url=endpoint_url,
            verify=verify,
            config=Config(
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
                # The engine's retry policy decides about retries, so the library makes none.
                retries={"total_max_attempts": 1, "mode": "standard"},
                **config,
            ),
        )
    pace_pools(client._endpoint.http_session._manager)
    return client


def _session(
    region: str, access_key: str | None, secret_key: str | None, session_token: str | None
) -> Any:
    import boto3
    import botocore.session

    core = botocore.session.get_session()
    core.register_component("data_loader", _loader())
    parsers = core.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=_moment)
    return boto3.session.Session(
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        aws_session_token=session_token,
        region_name=region,
        botocore_session=core,
    )


_opening = threading.Lock()
_known_session = lru_cache(maxsize=8)(_session)  # its many hooks take as long as a client itself


def _moment(value: Any) -> datetime:
    """Read a time; of a listing's thousands the general parser takes more time than all else."""
    from botocore.utils import parse_timestamp

    if isinstance(value, str):
        with suppress(ValueError):
            return datetime.fromisoformat(value)
    return cast(datetime, parse_timestamp(value))


@cache
def _loader() -> Any:
    """The API descriptions, read once a process: they take most of the time that a client takes to open."""
    from botocore.loaders import Loader

    return Loader()
