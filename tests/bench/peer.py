"""The peer: the same redemption as a plain FastAPI + SQLAlchemy service, written as their documentation teaches.

Pydantic models, a session per request by dependency, mapped classes, SELECT ... FOR UPDATE in the order of ids. It
stores the same rows as ours, with the same constraints and indexes. Run by the benchmarks with a Python of their own:
`python peer.py create URL` makes the tables, `python peer.py serve URL PORT` serves.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any
from uuid import UUID, uuid5

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    LargeBinary,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, relationship

POOL_SIZE = 10  # it keeps a core busy with 5 as with 32
SHANGHAI = timezone(timedelta(hours=8))
NAMES = UUID("5f0c6f2a-7f0e-4d43-9b6a-0d9f6f3b6c11")
CONSUMPTION, UNITS, PAYABLE = (uuid5(NAMES, name) for name in ("consumption", "units", "payable"))


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): ids in the order of time keep the indexes small."""
    return UUID(
        int=time.time_ns() // 1_000_000 << 80
        | 7 << 76
        | secrets.randbits(12) << 64
        | 2 << 62
        | secrets.randbits(62)
    )


# ---------------------------------------------------------------- tables
class Base(DeclarativeBase):
    type_annotation_map = {int: BigInteger, datetime: DateTime(timezone=True), dict[str, Any]: JSON}


class Resident(Base):
    __tablename__ = "resident"
    id: Mapped[UUID] = mapped_column(primary_key=True)


class AccessToken(Base):
    __tablename__ = "access_token"
    hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    revoked_at: Mapped[datetime | None]


class Publisher(Base):
    __tablename__ = "publisher"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    status: Mapped[str]


class Offer(Base):
    __tablename__ = "offer"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    publisher_id: Mapped[UUID] = mapped_column(ForeignKey("publisher.id"))
    status: Mapped[str]
    version: Mapped[int]
    title: Mapped[str]
    kind: Mapped[str]
    price_g: Mapped[int]
    value_fen: Mapped[int]
    stock_total: Mapped[int]
    per_resident_limit: Mapped[int]
    coupon_valid_days: Mapped[int]
    publisher: Mapped[Publisher] = relationship()


class Account(Base):
    __tablename__ = "account"
    __table_args__ = (
        CheckConstraint("credits_posted - debits_posted - debits_pending >= 0", name="not_overdrawn"),
        {"postgresql_with": {"fillfactor": 80}},
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    debits_pending: Mapped[int] = mapped_column(default=0, server_default="0")
    debits_posted: Mapped[int] = mapped_column(default=0, server_default="0")
    credits_pending: Mapped[int] = mapped_column(default=0, server_default="0")
    credits_posted: Mapped[int] = mapped_column(default=0, server_default="0")

    @property
    def available(self) -> int:
        return self.credits_posted - self.debits_posted - self.debits_pending

    @property
    def counted(self) -> int:
        return self.credits_posted + self.credits_pending - self.debits_posted - self.debits_pending


class Transfer(Base):
    __tablename__ = "transfer"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    debit: Mapped[UUID]
    credit: Mapped[UUID]
    amount: Mapped[int]
    kind: Mapped[str]
    phase: Mapped[str]
    pending_id: Mapped[UUID | None] = mapped_column(unique=True)
    expires_at: Mapped[datetime | None]
    credit_limit: Mapped[int | None]
    subject: Mapped[UUID] = mapped_column(index=True)
    created_at: Mapped[datetime]
    __table_args__ = (
        CheckConstraint("amount > 0"),
        CheckConstraint("debit <> credit"),
        Index("transfer_debit", "debit", "id"),
        Index("transfer_credit", "credit", "id"),
    )


class Redemption(Base):
    __tablename__ = "redemption"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    offer_id: Mapped[UUID] = mapped_column(ForeignKey("offer.id"))
    offer_version: Mapped[int]
    publisher_id: Mapped[UUID] = mapped_column(ForeignKey("publisher.id"))
    status: Mapped[str]
    price_g: Mapped[int]
    cash_fen: Mapped[int]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    coupon: Mapped[Coupon] = relationship(back_populates="redemption")
    __table_args__ = (
        Index("redemption_resident", "resident_id", "id"),
        Index("redemption_offer", "offer_id", "id"),
        Index("redemption_publisher", "publisher_id", "id"),
    )


class Coupon(Base):
    __tablename__ = "coupon"
    redemption_id: Mapped[UUID] = mapped_column(ForeignKey("redemption.id"), primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    token_key: Mapped[bytes] = mapped_column(LargeBinary)
    expires_at: Mapped[datetime]
    open: Mapped[bool]
    redemption: Mapped[Redemption] = relationship(back_populates="coupon")
    __table_args__ = (Index("coupon_due", "expires_at", postgresql_where=text("open")),)


class IdempotencyRecord(Base):
    __tablename__ = "idempotency"
    principal: Mapped[UUID] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


# ---------------------------------------------------------------- models
class RedeemIn(BaseModel):
    model_config = ConfigDict(extra="forbid")
    offer_id: UUID


class OfferOut(BaseModel):
    id: UUID
    title: str
    kind: str


class CouponOut(BaseModel):
    code: str
    expires_at: datetime


class RedemptionOut(BaseModel):
    id: UUID
    status: str
    offer: OfferOut
    price_g: int
    cash_fen: int
    coupon: CouponOut
    payment: None = None


# ---------------------------------------------------------------- the service
@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine: AsyncEngine = create_async_engine(app.state.url, pool_size=POOL_SIZE, max_overflow=0)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def get_session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(get_session)]


async def get_resident(
    session: SessionDep, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> UUID:
    digest = hashlib.sha256(credentials.credentials.encode()).digest()
    token = await session.scalar(
        select(AccessToken).where(AccessToken.hash == digest, AccessToken.revoked_at.is_(None))
    )
    if token is None:
        raise HTTPException(401, "unauthenticated")
    return token.resident_id


@app.post("/api/v1/redemptions", status_code=201)
async def create_redemption(
    wanted: RedeemIn,
    resident: Annotated[UUID, Depends(get_resident)],
    session: SessionDep,
    idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
) -> RedemptionOut:
    name = (resident, "POST /api/v1/redemptions", idempotency_key)
    request_hash = hashlib.sha256(wanted.model_dump_json().encode()).digest()
    if (earlier := await session.get(IdempotencyRecord, name)) is not None:
        return replayed(earlier, request_hash)
    try:
        answer = await redeem(session, resident, wanted.offer_id)
        session.add(
            IdempotencyRecord(
                principal=name[0], operation=name[1], key=name[2], request_hash=request_hash,
                answer=answer.model_dump(mode="json"), created_at=datetime.now(UTC),
            )
        )  # fmt: skip
        await session.commit()
    except IntegrityError:
        await session.rollback()
        earlier = await session.get(IdempotencyRecord, name)
        if earlier is None:
            raise
        return replayed(earlier, request_hash)
    return answer


def replayed(earlier: IdempotencyRecord, request_hash: bytes) -> RedemptionOut:
    if earlier.request_hash != request_hash:
        raise HTTPException(422, "idempotency_key_reused")
    return RedemptionOut.model_validate(earlier.answer)


async def redeem(session: AsyncSession, resident: UUID, offer_id: UUID) -> RedemptionOut:
    offer = await session.scalar(
        select(Offer).options(joinedload(Offer.publisher)).where(Offer.id == offer_id, Offer.status == "live")
    )
    if offer is None or offer.publisher.status != "active":
        raise HTTPException(409, "offer_not_live")
    wallet, stock, budget = resident, uuid5(offer.id, "stock"), uuid5(offer.id, "budget")
    uses = uuid5(offer.id, str(resident))
    await session.execute(insert(Account).values(id=uses).on_conflict_do_nothing())
    locked = await session.scalars(
        select(Account)
        .where(Account.id.in_([wallet, stock, budget, uses]))
        .order_by(Account.id)
        .with_for_update()
    )
    accounts = {account.id: account for account in locked}
    if accounts[wallet].available < offer.price_g:
        raise HTTPException(409, "insufficient_reductions")
    if accounts[stock].counted + 1 > offer.stock_total:
        raise HTTPException(409, "sold_out")
    if accounts[uses].counted + 1 > offer.per_resident_limit:
        raise HTTPException(409, "limit_reached")
    if accounts[budget].available < offer.value_fen:
        raise HTTPException(409, "budget_exhausted")
    accounts[wallet].debits_pending += offer.price_g
    accounts[stock].credits_pending += 1
    accounts[uses].credits_pending += 1
    accounts[budget].debits_pending += offer.value_fen

    now = datetime.now(UTC)
    midnight = now.astimezone(SHANGHAI).replace(hour=0, minute=0, second=0, microsecond=0)
    until = midnight + timedelta(days=offer.coupon_valid_days + 1)
    redemption = Redemption(
        id=new_id(), resident_id=resident, offer_id=offer.id,
        offer_version=offer.version, publisher_id=offer.publisher_id, status="issued", price_g=offer.price_g,
        cash_fen=0, created_at=now,
    )  # fmt: skip
    redemption.coupon = Coupon(
        code=f"{secrets.randbelow(10**12):012d}",
        token_key=secrets.token_bytes(32),
        expires_at=until,
        open=True,
    )
    session.add(redemption)
    session.add_all(
        Transfer(
            debit=debit, credit=credit, amount=amount, kind="redeem", phase="pending", expires_at=until,
            credit_limit=limit, subject=redemption.id, created_at=now,
        )
        for debit, credit, amount, limit in (
            (wallet, CONSUMPTION, offer.price_g, None),
            (UNITS, stock, 1, offer.stock_total),
            (UNITS, uses, 1, offer.per_resident_limit),
            (budget, PAYABLE, offer.value_fen, None),
        )
    )  # fmt: skip
    return RedemptionOut(
        id=redemption.id, status=redemption.status,
        offer=OfferOut(id=offer.id, title=offer.title, kind=offer.kind), price_g=offer.price_g, cash_fen=0,
        coupon=CouponOut(code=redemption.coupon.code, expires_at=until),
    )  # fmt: skip


# ---------------------------------------------------------------- by hand
async def create(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    verb, url = sys.argv[1], sys.argv[2].replace("postgresql://", "postgresql+asyncpg://", 1)
    if verb == "create":
        asyncio.run(create(url))
    else:
        app.state.url = url
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[3]), loop="uvloop", http="httptools",
                    access_log=False, log_level="warning")  # fmt: skip
