"""The command line as a newcomer meets it: what it prints, and what it says when something is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

ROOT = Path(__file__).parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """A command on an installation of its own."""
    with TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as home:

        def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
            known = os.environ | {"CHUTAN_HOME": home, "PORT": "8123"} | environment
            return subprocess.run(
                [sys.executable, "app.py", *arguments],
                cwd=ROOT,
                check=False,
                env=known,
                capture_output=True,
                text=True,
            )

        yield command


def test_the_demonstration_says_who_can_sign_in_and_loads_once(run):
    first, credentials = run("demo"), run("demo-credentials").stdout
    again = run("demo")

    assert first.returncode == again.returncode == 0
    assert run("demo-credentials").stdout == credentials
    for said in (
        "http://127.0.0.1:8123/sign-in",
        "13900000000",
        "demo-merchant",
        "demo-operator",
        "chutan-demo",
    ):
        assert said in first.stdout
    assert first.stdout == again.stdout
    assert len(json.loads(credentials)["residents"]) == 24


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("import-trips", "README.md", "--channel", "none"), {}, "there is no channel none"),
        (("import-trips", "README.md", "--channel", "bike-share"), {}, "needs each of the columns trip_id"),
        (("import-trips", "README.md", "--channel", "metro-card"), {}, "methodology"),
        (("demo-token", "--channel", "bike-share", "--subject", "nobody"), {}, "nobody"),
        (("demo-credentials",), {"PORT": "x"}, "PORT"),
        (("audit",), {"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "127.0.0.1"),
        (("serve", "--workers", "2"), {"REDIS_URL": ""}, "REDIS_URL"),
    ],
)
def test_what_a_user_can_mend_is_one_line_without_a_trace(run, arguments, environment, said):
    answer = run(*arguments, **environment)

    assert answer.returncode == 1
    assert answer.stderr.startswith("Error: ")
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert answer.stdout == ""


def test_a_demonstration_that_broke_off_is_none_and_says_so(run, tmp_path):
    home = {"CHUTAN_HOME": str(tmp_path)}
    script = """
import app
async def broken(): raise SystemExit(3)
app.riders.make_residents = broken
app.cli(["demo"])
"""
    broken = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, env=os.environ | home, capture_output=True
    )
    answer = run("demo", **home)

    assert broken.returncode == 3
    assert answer.returncode == 1
    assert "is for an empty one" in answer.stderr
    assert run("demo-credentials", **home).returncode == 1


def test_outside_a_demonstration_nobody_signs_in_by_a_code_that_everybody_can_read():
    command = [sys.executable, "app.py", "serve"]
    with (
        TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as home,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"CHUTAN_HOME": home, "PORT": "0"},
            stdout=subprocess.PIPE,
            text=True,
        ) as server,
    ):
        assert server.stdout is not None
        try:
            address = server.stdout.readline().split()[-1]
            asked = httpx.post(f"{address}/api/v1/auth/otp", json={"phone": "13800000000"})
        finally:
            server.terminate()
            server.stdout.read()
        assert (asked.status_code, asked.json()["code"]) == (503, "unavailable")
        assert server.wait(timeout=30) == 0
