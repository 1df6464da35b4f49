"""HTTP: reads by safe methods, and requests that change something, planned as the request itself."""

from actions.http.connection import HttpKind
from actions.http.get import HttpGet
from actions.http.request import HttpRequest

DECLARATIONS = (HttpKind, HttpGet, HttpRequest)

__all__ = ["DECLARATIONS", "HttpGet", "HttpKind", "HttpRequest"]
