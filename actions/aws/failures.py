"""What an error of Amazon's APIs means for the retry policy. Source: the S3 and IAM API references, errors."""

from __future__ import annotations

from engine.contract import ActionFailed, Category
from engine.contract.redact import Redactor
from engine.contract.status import category_of

_CODES = {
    "AccessDenied": Category.CONFIGURATION,
    "ExpiredToken": Category.CONFIGURATION,
    "InvalidAccessKeyId": Category.CONFIGURATION,
    "InvalidToken": Category.CONFIGURATION,
    "SignatureDoesNotMatch": Category.CONFIGURATION,
    "RequestTimeTooSkewed": Category.CONFIGURATION,
    "PermanentRedirect": Category.CONFIGURATION,
    "AuthorizationHeaderMalformed": Category.CONFIGURATION,
    "InvalidClientTokenId": Category.CONFIGURATION,
    "OptInRequired": Category.CONFIGURATION,
    "InvalidInput": Category.PERMANENT,
    "NoSuchEntity": Category.PERMANENT,
    "ValidationError": Category.PERMANENT,
    "Throttling": Category.RATE_LIMIT,
    "ServiceFailure": Category.TRANSIENT,
    "PolicyEvaluation": Category.TRANSIENT,
    "NoSuchBucket": Category.PERMANENT,
    "NoSuchKey": Category.PERMANENT,
    "NoSuchVersion": Category.PERMANENT,
    "SlowDown": Category.RATE_LIMIT,
    "RequestLimitExceeded": Category.RATE_LIMIT,
    "TooManyRequests": Category.RATE_LIMIT,
    "QuotaExceeded": Category.RESOURCE,
    "InsufficientStorage": Category.RESOURCE,
    "InternalError": Category.TRANSIENT,
    "OperationAborted": Category.TRANSIENT,
    "RequestTimeout": Category.TRANSIENT,
    "ConditionalRequestConflict": Category.TRANSIENT,
    "PreconditionFailed": Category.DATA,
}
# botocore's own, by the name of the exception
_LOCAL = {
    "ResponseParserError": Category.TRANSIENT,  # a broken-off answer
    "NoCredentialsError": Category.CONFIGURATION,
    "PartialCredentialsError": Category.CONFIGURATION,
    "SSLError": Category.CONFIGURATION,
    "ParamValidationError": Category.PERMANENT,
    "ReadTimeoutError": Category.TRANSIENT,
    "ConnectTimeoutError": Category.TRANSIENT,
    "EndpointConnectionError": Category.TRANSIENT,
    "ConnectionClosedError": Category.TRANSIENT,
    "IncompleteReadError": Category.TRANSIENT,
    "ResponseStreamingError": Category.TRANSIENT,
    "HTTPClientError": Category.TRANSIENT,
    "ProxyConnectionError": Category.TRANSIENT,
}
_UNSENT = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "NoCredentialsError",
    "ParamValidationError",
}


def advice(code: str) -> str:
    """Return what to do next about an error code, to end a sentence with; empty where nothing general helps."""
    if code in ("AccessDenied", "403"):  # the answer to a HEAD has no code, only its status
        return "; grant the right (stanch grants prints the policy), or narrow the playbook"
    return ""


def category_of_code(code: str, status: int = 0) -> Category:
    """Return the category of an error code; the HTTP status decides for codes not listed."""
    return _CODES.get(code) or (category_of(status) if status else Category.UNCLASSIFIED)


def failed(
    error: Exception, connection: str, redactor: Redactor, *, writes: bool, kind: str = "s3"
) -> ActionFailed:
    """Turn botocore's error into a classified failure, secrets masked.

    Args:
        kind: the connection's kind, for people.
        writes: whether the request could have taken effect although it failed.
    """
    response = getattr(error, "response", None)
    possible = writes
    if isinstance(response, dict):
        problem = response.get("Error", {})
        code = str(problem.get("Code", ""))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        category = category_of_code(code, status)
        possible = writes and (status >= 500 or status == 0)
        operation = getattr(error, "operation_name", "request")
        what = f"{operation}: {problem.get('Message') or 'refused'} [{code or status}]"
        bucket = problem.get("BucketName")
        what += (f" (bucket {bucket})" if bucket else "") + advice(code)
    else:
        name = type(error).__name__
        category = _LOCAL.get(name, Category.UNCLASSIFIED)
        possible = writes and name not in _UNSENT
        what = str(error)
    message = redactor.text(f"{kind} connection {connection!r}: {what}")
    return ActionFailed(category, message, effect_possible=possible)
