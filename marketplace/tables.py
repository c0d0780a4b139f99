"""The tables of `marketplace` as Piccolo's queries see them; the migrations beside hold their constraints."""

from __future__ import annotations

from piccolo.columns import (
    JSON,
    JSONB,
    UUID,
    Array,
    BigInt,
    Boolean,
    Bytea,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
)
from piccolo.table import Table


class Installation(Table, tablename="installation"):
    id = SmallInt(primary_key=True, default=None)
    demonstration = Boolean(default=None)
    seed = Bytea(null=True, default=None)
    person_key_digest = Bytea(null=True, default=None)
    pool_key_digest = Bytea(null=True, default=None)
    created_at = Timestamptz(default=None)


class LedgerAccount(Table, tablename="ledger_account"):
    id = UUID(primary_key=True, default=None)
    asset = Text(default=None)
    code = Text(default=None)
    owner = UUID(null=True, default=None)
    limited = Boolean(default=None)
    debits_pending = BigInt(default=None)
    debits_posted = BigInt(default=None)
    credits_pending = BigInt(default=None)
    credits_posted = BigInt(default=None)


class LedgerTransfer(Table, tablename="ledger_transfer"):
    id = UUID(primary_key=True, default=None)
    group_id = UUID(default=None)
    debit = UUID(default=None)
    credit = UUID(default=None)
    amount = BigInt(default=None)
    kind = Text(default=None)
    phase = Text(default=None)
    pending_id = UUID(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    credit_limit = BigInt(null=True, default=None)
    subject = UUID(null=True, default=None)
    created_at = Timestamptz(default=None)
    seq = BigInt(default=None)


class Idempotency(Table, tablename="idempotency"):
    id = UUID(primary_key=True, default=None)
    principal = Text(default=None)
    operation = Text(default=None)
    key = Text(default=None)
    request_hash = Bytea(default=None)
    answer = JSON(default=None)
    created_at = Timestamptz(default=None)


class Resident(Table, tablename="resident"):
    id = UUID(primary_key=True, default=None)
    phone = Text(null=True, default=None)
    person_hash = Text(null=True, default=None)
    name = Text(null=True, default=None)
    city = Text(default=None)
    language = Text(default=None)
    registry_account = UUID(default=None)
    created_at = Timestamptz(default=None)
    verified_at = Timestamptz(null=True, default=None)
    last_sign_in_at = Timestamptz(null=True, default=None)
    woken_at = Timestamptz(null=True, default=None)
    closed_at = Timestamptz(null=True, default=None)
    birth_year = SmallInt(null=True, default=None)


class IdentityEvent(Table, tablename="identity_event"):
    id = UUID(primary_key=True, default=None)
    resident = UUID(default=None)
    event = Text(default=None)
    created_at = Timestamptz(default=None)


class Channel(Table, tablename="channel"):
    key = Text(primary_key=True, default=None)
    name = Text(default=None)
    methodology = Text(default=None)
    created_at = Timestamptz(default=None)


class ChannelLink(Table, tablename="channel_link"):
    id = UUID(primary_key=True, default=None)
    channel = Text(default=None)
    subject = Text(default=None)
    resident = UUID(default=None)
    linked_at = Timestamptz(default=None)
    ended_at = Timestamptz(null=True, default=None)


class AccessToken(Table, tablename="access_token"):
    hash = Bytea(primary_key=True, default=None)
    role = Text(default=None)
    subject = Text(default=None)
    demonstration = Boolean(default=None)
    created_at = Timestamptz(default=None)
    expires_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class OauthClient(Table, tablename="oauth_client"):
    client_id = Text(primary_key=True, default=None)
    role = Text(default=None)
    subject = Text(default=None)
    secret_hash = Text(null=True, default=None)
    public_jwk = JSONB(null=True, default=None)
    created_at = Timestamptz(default=None)


class Operator(Table, tablename="operator"):
    id = UUID(primary_key=True, default=None)
    login = Text(default=None)
    name = Text(default=None)
    password_hash = Text(default=None)
    created_at = Timestamptz(default=None)
    city = Text(null=True, default=None)
    ended_at = Timestamptz(null=True, default=None)


class OperatorDeed(Table, tablename="operator_deed"):
    id = UUID(primary_key=True, default=None)
    actor = Text(default=None)
    deed = Text(default=None)
    object_kind = Text(default=None)
    object = UUID(default=None)
    city = Text(null=True, default=None)
    reason = Text(null=True, default=None)
    request_id = Text(null=True, default=None)
    created_at = Timestamptz(default=None)


class Totp(Table, tablename="totp"):
    holder = UUID(primary_key=True, default=None)
    role = Text(default=None)
    sealed_secret = Bytea(default=None)
    last_step = BigInt(default=None)
    confirmed_at = Timestamptz(default=None)


class RecoveryCode(Table, tablename="recovery_code"):
    hash = Bytea(primary_key=True, default=None)
    holder = UUID(default=None)
    role = Text(default=None)
    created_at = Timestamptz(default=None)
    used_at = Timestamptz(null=True, default=None)


class Passkey(Table, tablename="passkey"):
    id = UUID(primary_key=True, default=None)
    holder = UUID(default=None)
    role = Text(default=None)
    credential_id = Bytea(default=None)
    public_key = Bytea(default=None)
    sign_count = BigInt(default=None)
    site = Text(default=None)
    name = Text(default=None)
    created_at = Timestamptz(default=None)
    last_used_at = Timestamptz(null=True, default=None)


class Publisher(Table, tablename="publisher"):
    id = UUID(primary_key=True, default=None)
    kind = Text(default=None)
    name = Text(default=None)
    city = Text(default=None)
    status = Text(default=None)
    registry_account = UUID(default=None)
    created_at = Timestamptz(default=None)
    licence = Text(null=True, default=None)
    coupons_out = Text(null=True, default=None)
    gives_back_until = Timestamptz(null=True, default=None)


class PublisherStanding(Table, tablename="publisher_standing"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    event = Text(default=None)
    coupons_out = Text(null=True, default=None)
    reason = Text(default=None)
    actor = Text(default=None)
    created_at = Timestamptz(default=None)


class Store(Table, tablename="store"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    name = Text(default=None)
    address = Text(default=None)
    created_at = Timestamptz(default=None)


class Campaign(Table, tablename="campaign"):
    id = UUID(primary_key=True, default=None)
    name = Text(default=None)
    budget_account = UUID(default=None)
    created_at = Timestamptz(default=None)
    status = Text(default=None)
    starts_at = Timestamptz(null=True, default=None)
    ends_at = Timestamptz(null=True, default=None)
    kinds = Array(base_column=Text(), default=None)
    cities = Array(base_column=Text(), default=None)
    funded_at = Timestamptz(null=True, default=None)
    alarm_percent = SmallInt(default=None)


class CampaignPublisher(Table, tablename="campaign_publisher"):
    campaign = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)


class CampaignFunder(Table, tablename="campaign_funder"):
    id = UUID(primary_key=True, default=None)
    campaign = UUID(default=None)
    position = SmallInt(default=None)
    name = Text(default=None)
    kind = Text(default=None)
    share_bp = Integer(default=None)


class CampaignEvent(Table, tablename="campaign_event"):
    id = UUID(primary_key=True, default=None)
    campaign = UUID(default=None)
    event = Text(default=None)
    actor = Text(default=None)
    facts = JSONB(default=None)
    created_at = Timestamptz(default=None)


class Offer(Table, tablename="offer"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    status = Text(default=None)
    version = Integer(default=None)
    title = Text(default=None)
    kind = Text(default=None)
    starts_at = Timestamptz(null=True, default=None)
    ends_at = Timestamptz(null=True, default=None)
    reason = Text(null=True, default=None)
    limits_revision = Integer(default=None)
    created_at = Timestamptz(default=None)


class OfferVersion(Table, tablename="offer_version"):
    id = UUID(primary_key=True, default=None)
    offer = UUID(default=None)
    publisher = UUID(default=None)
    number = Integer(default=None)
    terms = JSONB(default=None)
    created_at = Timestamptz(default=None)
    created_by = Text(default=None)


class OfferEvent(Table, tablename="offer_event"):
    id = UUID(primary_key=True, default=None)
    offer = UUID(default=None)
    event = Text(default=None)
    actor = Text(default=None)
    reason = Text(null=True, default=None)
    created_at = Timestamptz(default=None)


class CodePool(Table, tablename="code_pool"):
    offer = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    account = UUID(default=None)
    alarm_at = Integer(default=None)
    low = Boolean(default=None)


class CodeUpload(Table, tablename="code_upload"):
    id = UUID(primary_key=True, default=None)
    offer = UUID(default=None)
    publisher = UUID(default=None)
    source = Text(default=None)
    name = Text(default=None)
    state = Text(default=None)
    fault = Text(null=True, default=None)
    expires_at = Timestamptz(null=True, default=None)
    size_bytes = BigInt(default=None)
    received_bytes = BigInt(default=None)
    digest = Bytea(null=True, default=None)
    prefix = Text(null=True, default=None)
    length = Integer(null=True, default=None)
    lines = Integer(default=None)
    loaded = Integer(default=None)
    added = Integer(default=None)
    refused = Integer(default=None)
    withdrawn = Integer(default=None)
    lapsed = Integer(default=None)
    created_at = Timestamptz(default=None)
    created_by = Text(default=None)
    leased_until = Timestamptz(null=True, default=None)
    finished_at = Timestamptz(null=True, default=None)
    exported_at = Timestamptz(null=True, default=None)
    exported_by = Text(null=True, default=None)


class CodeUploadPart(Table, tablename="code_upload_part"):
    upload = UUID(primary_key=True, default=None)
    number = Integer(default=None)
    sealed = Bytea(default=None)


class CodeUploadFault(Table, tablename="code_upload_fault"):
    upload = UUID(primary_key=True, default=None)
    line = Integer(default=None)
    fault = Text(default=None)


class SharedLimit(Table, tablename="shared_limit"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(null=True, default=None)
    campaign = UUID(null=True, default=None)
    whole_campaign = Boolean(default=None)
    name = Text(default=None)
    per_resident = Integer(null=True, default=None)
    per_resident_per_day = Integer(null=True, default=None)
    per_resident_per_week = Integer(null=True, default=None)
    created_at = Timestamptz(default=None)
    ended_at = Timestamptz(null=True, default=None)


class SharedLimitOffer(Table, tablename="shared_limit_offer"):
    shared_limit = UUID(primary_key=True, default=None)
    offer = UUID(default=None)


class PoolCode(Table, tablename="pool_code"):
    id = UUID(primary_key=True, default=None)
    offer = UUID(default=None)
    upload = UUID(default=None)
    fingerprint = Bytea(default=None)
    sealed = Bytea(default=None)
    expires_at = Timestamptz(null=True, default=None)
    redemption = UUID(null=True, default=None)


class PublisherEvent(Table, tablename="publisher_event"):
    id = UUID(primary_key=True, default=None)
    publisher = UUID(default=None)
    kind = Text(default=None)
    subject = UUID(default=None)
    facts = JSONB(default=None)
    created_at = Timestamptz(default=None)


class Redemption(Table, tablename="redemption"):
    id = UUID(primary_key=True, default=None)
    resident = UUID(default=None)
    offer = UUID(default=None)
    offer_version = UUID(default=None)
    publisher = UUID(default=None)
    status = Text(default=None)
    price_g = BigInt(default=None)
    cash_fen = BigInt(default=None)
    created_at = Timestamptz(default=None)
    closed_at = Timestamptz(null=True, default=None)


class HolderNotice(Table, tablename="holder_notice"):
    redemption = UUID(primary_key=True, default=None)
    resident = UUID(default=None)
    kind = Text(default=None)
    amount_g = BigInt(default=None)
    created_at = Timestamptz(default=None)


class Coupon(Table, tablename="coupon"):
    redemption = UUID(primary_key=True, default=None)
    code = Text(default=None)
    token_key = Bytea(null=True, default=None)
    expires_at = Timestamptz(default=None)
    open = Boolean(default=None)


class Till(Table, tablename="till"):
    id = UUID(primary_key=True, default=None)
    store = UUID(default=None)
    name = Text(default=None)
    created_at = Timestamptz(default=None)


class TillDevice(Table, tablename="till_device"):
    till = UUID(primary_key=True, default=None)
    kind = Text(default=None)
    added_by = Text(default=None)
    added_at = Timestamptz(default=None)
    last_seen_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)


class Verification(Table, tablename="verification"):
    id = UUID(primary_key=True, default=None)
    redemption = UUID(default=None)
    store = UUID(default=None)
    till = UUID(default=None)
    bill_fen = BigInt(null=True, default=None)
    discount_fen = BigInt(default=None)
    verified_at = Timestamptz(default=None)
    reversed_at = Timestamptz(null=True, default=None)
    scanned_at = Timestamptz(null=True, default=None)


class LateEvent(Table, tablename="late_event"):
    id = BigInt(primary_key=True, default=None)
    publisher = UUID(default=None)
    since = Timestamptz(default=None)


class Lot(Table, tablename="lot"):
    id = UUID(primary_key=True, default=None)
    resident = UUID(default=None)
    record = UUID(default=None)
    methodology = Text(default=None)
    methodology_version = Integer(default=None)
    vintage = Integer(default=None)
    city = Text(default=None)
    amount_g = BigInt(default=None)
    first_serial = BigInt(default=None)
    assigned_g = BigInt(default=None)
    credited_at = Timestamptz(default=None)
    expires_at = Timestamptz(default=None)


class ConsumptionRecord(Table, tablename="consumption_record"):
    id = UUID(primary_key=True, default=None)
    redemption = UUID(default=None)
    resident = UUID(default=None)
    publisher = UUID(default=None)
    amount_g = BigInt(default=None)
    captured_at = Timestamptz(default=None)
    settle_after = Timestamptz(default=None)
    state = Text(default=None)
    attempts = Integer(default=None)
    leased_until = Timestamptz(null=True, default=None)
    fault = Text(null=True, default=None)
    receipt = JSONB(null=True, default=None)
    recorded_at = Timestamptz(null=True, default=None)


class SerialRange(Table, tablename="serial_range"):
    id = UUID(primary_key=True, default=None)
    lot = UUID(default=None)
    consumption = UUID(null=True, default=None)
    assigned_at = Timestamptz(default=None)


class RegistryEntry(Table, tablename="registry_entry"):
    id = UUID(primary_key=True, default=None)
    kind = Text(default=None)
    account = UUID(default=None)
    counterparty = UUID(null=True, default=None)
    purpose = Text(default=None)
    amount_g = BigInt(default=None)
    batch = JSONB(default=None)
    recorded_at = Timestamptz(default=None)


class LateHappening(Table, tablename="late_happening"):
    id = BigInt(primary_key=True, default=None)
    at = Timestamptz(default=None)
