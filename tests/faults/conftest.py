"""The fault suite: short with the other tests, whole with `--whole` (make faults); `--seed` for another crowd."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

import pytest

from tests.conftest import POOL_KEY
from tests.faults import books, world
from tests.faults.client import Crowd
from tests.faults.machines import Cluster, RedisServer, Server

_SEED = 20_241_106
_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="run every fault scenario, each in full")
    parser.addoption("--seed", type=int, default=_SEED, help="of the crowd in the fault scenarios")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--whole", default=False):
        return
    left = [item for item in items if item.get_closest_marker("whole") is not None]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


@pytest.fixture(scope="session")
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether there is time for everything."""
    return bool(request.config.getoption("--whole", default=False))


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--seed", default=_SEED))


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    # Not pytest's own folder: it takes back the rights that another system user's PostgreSQL needs there.
    with tempfile.TemporaryDirectory(prefix="chutan-", ignore_cleanup_errors=True) as folder:
        # What the processes seal, this one reads.
        (Path(folder) / "pool-key").write_text(POOL_KEY, encoding="utf-8")
        yield Path(folder)


@pytest.fixture(scope="session")
def cluster(home: Path) -> Iterator[Cluster]:
    cluster = Cluster(home)
    yield cluster
    cluster.close()


@pytest.fixture(scope="session")
async def the_world(cluster: Cluster, home: Path) -> world.World:
    return await world.make(cluster, home)


class Site:
    """A copy of the world with what serves it. What was started is ended with the test."""

    def __init__(self, *, cluster: Cluster, home: Path, the_world: world.World, seed: int) -> None:
        self.cluster, self.home, self.world, self.seed = cluster, home, the_world, seed
        self.url = ""
        self.ending = AsyncExitStack()

    async def serve(
        self, *, shift: str = "", workers: int = 1, redis_url: str = "", broken: str = ""
    ) -> Server:
        """A server on the site's database."""
        server = Server(self.home, url=self.url, workers=workers, redis_url=redis_url, broken=broken)
        self.ending.callback(server.kill)
        await server.start(shift=shift)
        return server

    async def redis(self) -> RedisServer:
        server = RedisServer(self.home)
        self.ending.callback(server.kill)
        await server.start()
        return server

    async def another(self) -> str:
        """A copy of the site's database as it is now; nobody may be in it."""
        return await self.copied(self.url.split("?")[0].rsplit("/", 1)[1])

    async def copied(self, template: str) -> str:
        """A copy of the database `template`, for as long as the test."""
        name = f"site_{next(_numbers)}"
        self.ending.push_async_callback(self.cluster.drop, name)
        return await self.cluster.copy(template, name)

    def crowd(self, server: Server, *, seed: int = 0) -> Crowd:
        crowd = Crowd(self.world, server.base_url, seed=self.seed + seed)
        self.ending.push_async_callback(crowd.close)
        return crowd

    async def close_books(self, crowd: Crowd) -> None:
        """How a scenario ends."""
        if crowd.faults:  # what the server itself says about them
            for log in self.home.glob("serve-*.log"):
                lines = log.read_text(errors="replace").splitlines()
                crowd.faults += [line for line in lines if '"internal"' in line][-2:]
        await books.close(crowd, url=self.url, home=self.home)


@pytest.fixture
async def site(cluster: Cluster, home: Path, the_world: world.World, seed: int) -> AsyncIterator[Site]:
    """A world of the test's own."""
    site = Site(cluster=cluster, home=home, the_world=the_world, seed=seed)
    site.url = await site.copied("world")
    async with site.ending:
        yield site
