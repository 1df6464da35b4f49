"""HTTP: reads by safe methods, pages and downloads, and requests that change something."""

from actions.http.connection import HttpKind
from actions.http.download import HttpDownload
from actions.http.get import HttpGet
from actions.http.pages import HttpPages
from actions.http.request import HttpRequest

DECLARATIONS = (HttpKind, HttpGet, HttpPages, HttpDownload, HttpRequest)

__all__ = ["DECLARATIONS", "HttpDownload", "HttpGet", "HttpKind", "HttpPages", "HttpRequest"]
