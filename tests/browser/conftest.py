"""The browser of these tests: a Chromium of the machine's own, with a camera that films a test picture or a file."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]  # fmt: skip


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Headless; without a Chromium the test is skipped, but in CI it fails."""
    async with _launched() as browser:
        yield browser


@pytest.fixture
async def film(tmp_path: Path) -> Path:
    """What the camera of `filming` sees: a YUV4MPEG2 file, to be written before the camera is opened."""
    return tmp_path / "camera.y4m"


@pytest.fixture
async def filming(film: Path) -> AsyncIterator[Browser]:
    """A browser whose camera films `film`."""
    async with _launched(f"--use-file-for-fake-video-capture={film}") as browser:
        yield browser


@asynccontextmanager
async def _launched(*flags: str) -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs a Chromium")
        pytest.skip("no Chromium on this machine")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield browser
        await browser.close()
