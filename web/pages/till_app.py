"""The till as an application of the phone: what installs it, and what opens it without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from litestar import Response, get
from litestar.exceptions import NotFoundException

from web.pages.forms import AnyRequest
from web.pages.rendering import STATIC, asset, environment, words_of

SCOPE = "/publisher/till"


@get(f"{SCOPE}/worker.js", include_in_schema=False)
async def worker() -> Response[str]:
    """The service worker, told which files the till page is made of: it changes when one of them does."""
    try:
        files = json.loads((STATIC / "till-shell.json").read_text(encoding="utf-8"))
        source = (STATIC / Path(asset("till_worker.js")).name).read_text(encoding="utf-8")
    except OSError as error:
        raise NotFoundException from error
    shell = json.dumps([f"/static/{name}" for name in files])
    return Response(
        f"self.SHELL = {shell};\n{source}", media_type="text/javascript",
        headers={"Service-Worker-Allowed": SCOPE, "Cache-Control": "no-cache"},
    )  # fmt: skip


@get(f"{SCOPE}/app.webmanifest", include_in_schema=False)
async def manifest(request: AnyRequest) -> Response[dict[str, Any]]:
    """What the phone calls it and draws for it once it is installed."""
    words = words_of(request)
    return Response(
        {
            "id": SCOPE, "start_url": SCOPE, "scope": SCOPE, "display": "standalone", "lang": words.language,
            "name": words("till.app_name"), "short_name": words("till.app_short"),
            "background_color": "#f7f5ee", "theme_color": "#1d6b4a",
            "icons": [{"src": f"{SCOPE}/icon.svg", "type": "image/svg+xml", "sizes": "any", "purpose": purpose}
                      for purpose in ("any", "maskable")],
        },
        media_type="application/manifest+json", headers={"Vary": "Accept-Language"},
    )  # fmt: skip


@get(f"{SCOPE}/icon.svg", include_in_schema=False)
async def icon() -> Response[str]:
    """The till's icon; its picture stays within the circle that a phone may cut out."""
    return Response(
        environment().get_template("publisher/till_icon.svg").render(), media_type="image/svg+xml",
        headers={"Cache-Control": "max-age=86400"},
    )  # fmt: skip


HANDLERS = [worker, manifest, icon]
