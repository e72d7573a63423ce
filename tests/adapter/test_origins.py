from __future__ import annotations

import pytest

from greenroom.adapter._origins import is_trusted


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "example.com"),
        ("https://example.com", "example.com"),
        ("http://example.com", "example.com"),
        ("https://EXAMPLE.com", "example.COM"),
        ("https://example.com:443", "example.com"),
        ("https://example.com", "example.com:443"),
        ("http://example.com", "example.com:80"),
        ("http://example.com:8000", "example.com:8000"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
def test_a_page_may_connect_to_its_own_host(origin: str | None, host: str) -> None:
    assert is_trusted(origin, host, None)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.org", "example.com"),
        ("https://example.com.evil.org", "example.com"),
        ("https://evil.org/example.com", "example.com"),
        ("https://example.com@evil.org", "example.com"),
        ("https://evil.org@example.com", "example.com"),
        ("https://sub.example.com", "example.com"),
        ("https://example.com:8443", "example.com"),
        ("http://example.com", "example.com:443"),
        ("https://example.com", "example.com:80"),
        ("http://example.com:80", "example.com:8000"),
        ("null", "example.com"),
        ("null", ""),
        ("", ""),
        ("", "example.com"),
        ("https://", ""),
        ("https://example.com", ""),
        ("file://example.com", "example.com"),
        ("example.com", "example.com"),
        ("https://[", "["),
        # Two headers of one name, joined as the scope's reader joins them.
        ("https://example.com, https://evil.org", "example.com"),
    ],
)
def test_no_other_page_may(origin: str, host: str) -> None:
    assert not is_trusted(origin, host, None)


@pytest.mark.parametrize(
    ("origin", "pattern"),
    [
        ("https://example.com", "https://example.com"),
        ("https://Example.com", "https://example.COM"),
        ("https://a.example.com", "https://*.example.com"),
        ("https://a.b.example.com", "https://*.example.com"),
        ("https://a.example.com:8443", "https://*.example.com:8443"),
        ("null", "null"),
        ("null", "*"),
        ("anything at all", "*"),
        ("capacitor://localhost", "capacitor://localhost"),
    ],
)
def test_pages_of_trusted_origins_may(origin: str, pattern: str) -> None:
    assert is_trusted(origin, "elsewhere", ("https://first.org", pattern))


@pytest.mark.parametrize(
    ("origin", "pattern"),
    [
        ("http://example.com", "https://example.com"),
        ("https://example.com:8443", "https://example.com"),
        ("https://example.com", "https://*.example.com"),
        ("https://.example.com", "https://*.other.com"),
        ("https://evilexample.com", "https://*.example.com"),
        ("https://evil.org/.example.com", "https://*.example.com"),
        ("https://evil.org?.example.com", "https://*.example.com"),
        ("https://evil.org#.example.com", "https://*.example.com"),
        ("https://evil.org\\.example.com", "https://*.example.com"),
        ("https://u@a.example.com", "https://*.example.com"),
        ("http://a.example.com", "https://*.example.com"),
        ("https://a.example.com:8443", "https://*.example.com"),
        # With a list, the page's own host is trusted only if it is in it.
        ("https://elsewhere", "https://example.com"),
    ],
)
def test_pages_of_others_may_not(origin: str, pattern: str) -> None:
    assert not is_trusted(origin, "elsewhere", (pattern,))


def test_with_nothing_trusted_no_page_may() -> None:
    assert not is_trusted("https://example.com", "example.com", ())
    assert is_trusted(None, "example.com", ())
