"""Self-contained HTML pages that request nothing from any network."""

from __future__ import annotations

import base64
import hashlib
import pathlib

import jinja2
import markupsafe

_TEMPLATES = pathlib.Path(__file__).with_name("templates")


def data_uri(content: bytes, media_type: str) -> str:
    """Encodes a file as an address that holds all of it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
_ENVIRONMENT.filters["data_uri"] = data_uri


def render(name: str, media_source: str = "'none'", **values: object) -> str:
    """Renders a template with its style sheet and its script.

    They are `<name>.html.j2`, `<name>.css`, below the style of all pages, and
    `<name>.js`, if there is one. Text in the template's `values` is escaped.
    The page's Content-Security-Policy runs that style sheet and that script
    only, and forbids every request but that of media from the given source.
    """
    style = _source("page.css") + _source(f"{name}.css")
    script = _source(f"{name}.js")
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; "
        f"img-src data:; media-src {media_source}; "
        f"style-src {_permit(style)}; script-src {_permit(script)}"
    )
    template = _ENVIRONMENT.get_template(f"{name}.html.j2")
    page = template.render(policy=policy, style=style, script=script, **values)
    return page + "\n"


def _source(file_name: str) -> markupsafe.Markup:
    """Reads a file that is part of the page's source, hence not escaped."""
    path = _TEMPLATES / file_name
    return markupsafe.Markup(path.read_text("utf-8") if path.exists() else "")


def _permit(code: str) -> str:
    """The policy's name of an inline style sheet or script."""
    digest = hashlib.sha256(code.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
