"""Messages go out, never in: the table of hostile addresses, and names that change their mind."""

from __future__ import annotations

import ipaddress

import pytest

from marketplace.errors import Invalid
from merchants.webhooks import addresses
from merchants.webhooks.addresses import AddressRefused, address_of, is_public, place_of

HOSTILE = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.9", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2001:10::1", "2002:7f00:1::", "2002:808:808::1",
    "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip
PUBLIC = [
    "1.1.1.1", "8.8.8.8", "114.114.114.114", "223.5.5.5", "2400:3200::1", "2606:4700:4700::1111",
    "2a00:1450:4001::1",
]  # fmt: skip


@pytest.mark.parametrize("address", HOSTILE)
async def test_no_address_that_is_not_public_is_sent_to(address, monkeypatch):
    assert not is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Invalid, match="validation_failed") as refused:
        place_of(f"https://{host}/hook", loopback=False)
    assert refused.value.errors[0].code == "not_public"

    async def rebound(host: str, port: int) -> list[str]:
        return ["8.8.8.8", address]  # one good address does not excuse the other

    monkeypatch.setattr(addresses, "resolve", rebound)
    with pytest.raises(AddressRefused, match="not_public"):
        await address_of(place_of("https://good.example.com/hook", loopback=False))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_sent_to(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "required"),
        ("shop", "not_a_url"),
        ("http://shop.example.com/", "not_https"),
        ("http://127.0.0.1/", "not_https"),
        ("ftp://shop.example.com/", "not_https"),
        ("https://", "not_a_url"),
        ("https:///hook", "not_a_url"),
        ("https://user@shop.example.com/", "not_a_url"),
        ("https://a:b@shop.example.com/", "not_a_url"),
        ("https://shop.example.com/#part", "not_a_url"),
        ("https://shop.example.com:99999/", "not_a_url"),
        ("https://shop.example.com:0/", "not_a_url"),
        ("https://shop.example.com\\@evil.example.com/", "not_a_url"),
        ("https://shop.example.com/\r\nhost: x", "not_a_url"),
        ("https://店.example.com/", "not_a_url"),
        ("https://[::1", "not_a_url"),
        ("https://shop.example.com/" + "a" * 500, "not_a_url"),
        ("https://localhost/", "not_public"),
        ("https://localhost./", "not_public"),
        ("https://intranet/", "not_public"),
        ("https://2130706433/", "not_public"),
        ("https://0x7f000001/", "not_public"),
        ("https://0177.0.0.1/", "not_public"),
        ("https://127.1/", "not_public"),
        ("https://[fe80::1%25eth0]/", "not_public"),
    ],
)
def test_what_is_no_public_https_address_is_refused_when_it_is_typed(url, code):
    with pytest.raises(Invalid) as refused:
        place_of(url, loopback=False)
    assert [error.code for error in refused.value.errors] == [code]


def test_an_address_is_taken_apart_as_it_will_be_connected_to():
    place = place_of("https://Shop.Example.com.:8443/hook?a=1", loopback=False)
    assert place == ("https", "shop.example.com", 8443, "/hook?a=1", False)
    assert place_of("https://xn--fiqs8s.example.com", loopback=False).path == "/"


def test_only_a_demonstration_sends_to_this_machine():
    assert place_of("http://localhost:9000/", loopback=True).loopback
    with pytest.raises(Invalid):
        place_of("http://192.168.1.1/", loopback=True)


async def test_a_name_that_nobody_knows_is_a_failure_and_not_an_error(monkeypatch):
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    monkeypatch.setattr(addresses, "resolve", nowhere)
    with pytest.raises(AddressRefused, match="unresolved"):
        await address_of(place_of("https://nowhere.example.com/", loopback=False))
