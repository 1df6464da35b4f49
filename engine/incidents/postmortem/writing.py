"""Prints a postmortem by a template: the shipped ones, or a team's own. Templates run in a sandbox.

Facts come from outside (alert text, error messages, comments): in Markdown they are escaped by the filters
`line` and `code`, in HTML by autoescaping. People's own blocks are theirs and stand as they wrote them; in
HTML they are shown as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import BaseLoader, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from engine.domain.canonical import Json, JsonObject
from engine.domain.errors import InvalidInput, NotFound
from engine.incidents.postmortem.sections import block, head, is_written

SHIPPED = Path(__file__).parent / "templates"
FORMATS = {"md": "md", "html": "html"}
_MARKUP = re.compile(r"([\\`*_\[\]|])")
_LONGEST = 500  # characters of one value


def line(value: Json) -> str:
    """Return a value as one line of Markdown that holds no markup and no HTML of its own."""
    if isinstance(value, list | tuple):
        return ", ".join(line(one) for one in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{line(name)}={line(one)}" for name, one in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = "" if value is None else " ".join(str(value).split())
    text = "".join(char for char in text if char.isprintable())
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", text)


def code(value: Json) -> str:
    """Return a value as inline code; backticks cannot end it early."""
    text = "".join(char for char in " ".join(str(value).split()) if char.isprintable())[:_LONGEST]
    fence = "`" * (max((len(run) for run in re.findall(r"`+", text)), default=0) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


class Printer:
    """Prints documents by templates.

    Parameters:
        folder: a team's own templates, which come before the shipped ones of the same name.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def render(
        self,
        template: str,
        format_: str,
        facts: JsonObject,
        texts: Mapping[str, str],
        version: int,
        charts: Mapping[str, str],
    ) -> str:
        """Return the document.

        Parameters:
            template: `postmortem` or `batch-report`, or a team's own.
            texts: people's blocks by name.
            charts: title to file name (Markdown) or SVG text (HTML).

        Raises:
            NotFound: no such template. InvalidInput: the template has a mistake; the message says which.
        """
        if format_ not in FORMATS:
            raise InvalidInput(f"{format_!r} is no format; there are: {', '.join(FORMATS)}")
        incident_id = str(facts["incident"]["id"])

        def people(name: str, hint: str = "") -> Any:
            text = texts.get(name, "")
            if format_ == "html":
                return _paragraphs(text, hint)
            return block(name, text or f"_{hint or 'not written yet'}_")

        scope = {
            **facts,
            "charts": charts,
            "people": people,
            "head": head(incident_id, version) if format_ == "md" else "",
        }
        name = f"{template}.{format_}.j2"
        environment = _environment(str(self._folder) if self._folder else "", format_ == "html")
        try:
            return environment.get_template(name).render(scope).rstrip() + "\n"
        except TemplateNotFound:
            known = ", ".join(self.names(format_))
            raise NotFound(
                f"there is no template {template!r} in {format_}; there are: {known}"
            ) from None
        except TemplateError as error:
            place = getattr(error, "lineno", None)
            where = f"{name}:{place}" if place else name
            raise InvalidInput(f"the template {where} has a mistake: {error}") from None
        except (TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise InvalidInput(f"the template {name} fails: {error}") from None

    def names(self, format_: str) -> list[str]:
        """Return the templates that there are in a format."""
        folders = [SHIPPED, *([self._folder] if self._folder else [])]
        ending = f".{format_}.j2"
        return sorted(
            {
                path.name.removesuffix(ending)
                for folder in folders
                for path in folder.glob(f"*{ending}")
            }
        )


def _paragraphs(text: str, hint: str) -> Markup:
    """Return people's Markdown as paragraphs of text: nothing in it is taken for HTML."""
    if not is_written(text):
        return Markup('<p class="open">{}</p>').format(hint or "not written yet")
    parts = [part for part in re.split(r"\n\s*\n", text.strip()) if part]
    return Markup("\n").join(Markup('<p class="people">{}</p>').format(part) for part in parts)


@cache
def _environment(folder: str, html: bool) -> ImmutableSandboxedEnvironment:
    paths = ([folder] if folder else []) + [str(SHIPPED)]
    loader: BaseLoader = FileSystemLoader(paths)
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        autoescape=html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=True,
    )
    environment.filters.update({"line": line, "code": code} if not html else {"line": _flat})
    if html:
        environment.filters["code"] = _flat
    environment.filters["svg"] = Markup  # our own charts, made from numbers
    return environment


def _flat(value: Json) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)
