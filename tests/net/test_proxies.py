"""Which proxy a URL goes through, if any: values only."""

from __future__ import annotations

import pytest

from wharfinger.errors import UsageError
from wharfinger.net.proxies import Proxies, Proxy
from wharfinger.net.urls import parse

ACCEPTED = {
    "http://proxy.test:3128": ("proxy.test", 3128, None),
    "http://proxy.test:3128/": ("proxy.test", 3128, None),
    "http://proxy.test": ("proxy.test", 80, None),
    "HTTP://[::1]:8888": ("::1", 8888, None),
    "http://10.0.0.1:25": ("10.0.0.1", 25, None),
    # RFC 7617 section 2: "Aladdin", "open sesame"
    "http://Aladdin:open%20sesame@proxy.test:3128": (
        "proxy.test", 3128, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    ),
    "http://a@b:c@proxy.test": ("proxy.test", 80, "Basic YUBiOmM="),
}  # fmt: skip


@pytest.mark.parametrize(("text", "means"), ACCEPTED.items(), ids=ACCEPTED)
def test_a_proxy_is_an_http_url(text: str, means: tuple[str, int, str | None]) -> None:
    proxy = Proxy.parse(text)
    assert (proxy.host, proxy.port, proxy.authorization) == means


REFUSED = [
    "", "proxy.test:3128", "https://proxy.test", "socks5://proxy.test:1080", "http://",
    "http://proxy.test/path", "http://proxy.test?x", "http://pro xy.test", "http://127.1:3128",
    "http://proxy.test:0", "ftp://proxy.test", "http://user:secret@", "//proxy.test",
    "http://user:secret@proxy.test:x", "http://user:secret@127.1",
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_a_usage_error_that_repeats_no_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Proxy.parse(text)
    assert "secret" not in f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert "secret" not in str(caught.value.__context__)


def test_a_password_is_not_shown() -> None:
    assert "c2Vj" not in repr(Proxies.of("http://u:secret@p.test", trusted=True, environment={}))


def test_without_a_wish_there_is_no_proxy_whatever_the_environment_says() -> None:
    environment = {"http_proxy": "http://p.test", "https_proxy": "nonsense"}
    assert Proxies.of(None, trusted=False, environment=environment) == Proxies()


@pytest.mark.parametrize("proxy", ["http://p.test:3128", "environment"])
def test_a_proxy_needs_the_word_that_it_decides(proxy: str) -> None:
    with pytest.raises(UsageError, match="proxy that connects") as caught:
        Proxies.of(proxy, trusted=False, environment={})
    assert "trust_proxy=True" in caught.value.hint


def test_something_that_is_no_text_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        Proxies.of({"http": "x"}, trusted=True, environment={})  # type: ignore[arg-type]


def of(environment: dict[str, str], url: str) -> str | None:
    proxy = Proxies.of("environment", trusted=True, environment=environment).for_url(parse(url))
    return None if proxy is None else f"{proxy.host}:{proxy.port}"


ENVIRONMENTS = [
    ("nothing", {}, "http://x.test/", None),
    ("empty", {"http_proxy": " "}, "http://x.test/", None),
    ("by scheme", {"http_proxy": "http://p.test:1"}, "http://x.test/", "p.test:1"),
    ("other scheme", {"http_proxy": "http://p.test:1"}, "https://x.test/", None),
    ("https", {"https_proxy": "http://p.test:2"}, "https://x.test/", "p.test:2"),
    ("HTTPS", {"HTTPS_PROXY": "http://p.test:2"}, "https://x.test/", "p.test:2"),
    ("HTTP in capitals", {"HTTP_PROXY": "http://evil.test"}, "http://x.test/", None),
    ("all", {"all_proxy": "http://p.test:3"}, "https://x.test/", "p.test:3"),
    ("ALL", {"ALL_PROXY": "http://p.test:3"}, "http://x.test/", "p.test:3"),
    ("without a scheme", {"http_proxy": "p.test:4"}, "http://x.test/", "p.test:4"),
]


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [row[1:] for row in ENVIRONMENTS],
    ids=[r[0] for r in ENVIRONMENTS],
)
def test_the_environment_names_proxies(
    environment: dict[str, str], url: str, proxy: str | None
) -> None:
    assert of(environment, url) == proxy


def test_a_variable_that_is_no_proxy_is_named_without_its_value() -> None:
    with pytest.raises(UsageError, match="https_proxy") as caught:
        of({"https_proxy": "socks5://u:secret@p.test"}, "https://x.test/")
    assert "secret" not in str(caught.value)


EXCEPTIONS = [
    ("*", "http://x.test/", True),
    ("x.test", "http://x.test/", True),
    ("X.Test", "http://x.test/", True),
    (".x.test", "http://x.test/", False),
    (".x.test", "http://a.x.test/", True),
    ("x.test", "http://a.b.x.test./", True),
    ("x.test", "http://notx.test/", False),
    ("test", "http://x.test/", True),
    ("a.test, x.test", "http://x.test/", True),
    ("a.test x.test", "http://x.test/", True),
    ("x.test:8080", "http://x.test:8080/", True),
    ("x.test:8080", "http://x.test:80/", False),
    ("x.test:8080", "http://a.x.test:8080/", True),
    ("10.0.0.0/8", "http://10.1.2.3/", True),
    ("10.0.0.0/8", "http://11.1.2.3/", False),
    ("10.1.2.3/8", "http://10.9.9.9/", True),
    ("10.0.0.0/8", "http://x.test/", False),
    ("192.0.2.1", "http://192.0.2.1/", True),
    ("2001:db8::/32", "http://[2001:db8::1]/", True),
    ("[::1]", "http://[::1]/", True),
    ("[::1]:80", "http://[::1]/", True),
    (",", "http://x.test/", False),
    (".", "http://x.test/", False),
]


@pytest.mark.parametrize(
    ("listed", "url", "direct"), EXCEPTIONS, ids=[f"{e[0]} {e[1]}" for e in EXCEPTIONS]
)
def test_no_proxy_names_hosts_domains_networks_and_ports(
    listed: str, url: str, direct: bool
) -> None:
    for variable in ("no_proxy", "NO_PROXY"):
        environment = {"all_proxy": "http://p.test:1", variable: listed}
        assert of(environment, url) == (None if direct else "p.test:1")
