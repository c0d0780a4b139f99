"""A server that is killed while it loads a hundred thousand codes goes on where it was."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.faults import books
from tests.faults.conftest import Site
from tests.faults.machines import PATIENCE_SECONDS, connected, until
from tests.marketplace.pools.filling import some_codes

LINES = 100_000


async def the_upload(client: httpx.AsyncClient, path: str) -> Any:
    try:
        return (await client.get(path)).json()
    except httpx.TransportError:
        return {"loaded": -1, "state": "unknown"}


@pytest.mark.parametrize("deaths", [1, pytest.param(4, marks=pytest.mark.whole)])
async def test_kill_9_while_codes_are_loaded_loses_none_and_repeats_none(site: Site, deaths: int) -> None:
    server = await site.serve()
    offer = site.world.offers[-1].id
    content = some_codes(LINES)
    headers = {"Authorization": f"Bearer {site.world.staff_token}"}
    async with httpx.AsyncClient(
        base_url=server.base_url, headers=headers, trust_env=False, timeout=PATIENCE_SECONDS
    ) as client:
        begun = await client.post(
            f"/api/v1/publisher/offers/{offer}/uploads", json={"name": "c.txt", "size_bytes": len(content)}
        )
        upload = f"/api/v1/publisher/uploads/{begun.json()['id']}"
        for offset in range(0, len(content), 2**19):
            sent = await client.put(
                f"{upload}/content", params={"offset": offset}, content=content[offset : offset + 2**19]
            )
            assert sent.status_code == 200, sent.text
        for _ in range(deaths):
            before = (await the_upload(client, upload))["loaded"]

            async def goes_on(before: int = before) -> bool:
                return bool((await the_upload(client, upload))["loaded"] > before)

            await until("it is being loaded", goes_on)
            server.kill()
            async with connected(site.url) as connection:  # nobody waits for the lease of who is dead
                await connection.execute("UPDATE code_upload SET leased_until = NULL")
            await server.start()

        async def is_loaded() -> bool:
            return bool((await the_upload(client, upload))["state"] == "loaded")

        await until("it is loaded", is_loaded)
        done = await the_upload(client, upload)

    assert (done["loaded"], done["added"], done["refused"]) == (LINES, LINES, 0)
    assert not await books.audited(home=site.home, url=site.url)
