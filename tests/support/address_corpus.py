"""Addresses that lead, or pretend to lead, where no transfer goes: data, no logic.

`{port}` is where something listens that would answer. `public.test` is a name with a public
address; NAMES is what a name service in an attacker's hand answers.
"""

from __future__ import annotations

PUBLIC = "93.184.216.34"
PUBLIC_6 = "2606:2800:220:1:248:1893:25c8:1946"

# First, last and famous addresses of every block (RFCs in `wharfinger.net.addresses`).
LITERALS_4 = [
    "0.0.0.0", "0.0.0.1", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255",  # noqa: S104
    "100.64.0.0", "100.100.100.200", "100.127.255.255", "127.0.0.0", "127.0.0.1", "127.0.0.53",
    "127.1.2.3", "127.255.255.255", "168.63.129.16", "169.254.0.0", "169.254.169.254",
    "169.254.0.23", "169.254.42.42", "169.254.170.2", "169.254.170.23", "169.254.255.255", "172.16.0.0", "172.17.0.1",
    "172.31.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.170", "192.0.0.192", "192.0.2.1",
    "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.0", "192.168.1.1",
    "192.168.255.255", "192.175.48.1", "198.18.0.0", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.254",
    "255.255.255.255",
]  # fmt: skip
LITERALS_6 = [
    "::", "::1", "::2", "::127.0.0.1", "::7f00:1", "::a9fe:a9fe", "::ffff:127.0.0.1",
    "::FFFF:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe", "::ffff:93.184.216.34", "::ffff:0:127.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "1fff::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:2::1", "2001:10::1", "2001:20::1",
    "2001:1ff::1", "2001:db8::1", "2002::1", "2002:7f00:1::1", "2002:a9fe:a9fe::1",
    "2002:c0a8:101::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1",
    "fc00::1", "fd00::1", "fd00:ec2::254", "fd00:ec2::23", "fd00:42::42", "fd20:ce::254", "fdff::1", "fe00::1",
    "fe80::1", "fe80::5efe:127.0.0.1", "febf::1", "fec0::1", "ff01::1", "ff02::1", "ff0e::1",
    "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "0:0:0:0:0:ffff:127.0.0.1",
    "0:0:0:0:0:ffff:7f00:0001",
]  # fmt: skip

# 127.0.0.1, 169.254.169.254, 192.168.1.1 and 0.0.0.0 as inet_aton(3) and others read them.
NUMBERS = [
    "2130706433", "0x7f000001", "0X7F000001", "0x7F000001.", "017700000001", "0017700000001",
    "0x7f.1", "0x7f.0.0.1", "0x7f.0x0.0x0.0x1", "0177.0.0.1", "0177.0.0.01", "0000177.0.0.1",
    "127.1", "127.0.1", "127.1.", "127.0.0.1.", "127.0.0.1..", "127..0.0.1", "127.000.000.001",
    "127.0.0.01", "127.0.0.0x1", "127.0x00000001", "127.0.0.256", "383.0.0.1", "0x17f.0.0.1",
    "1.127.0.0.1", "127.0.0.1.1", "2852039166", "0xa9fea9fe", "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376", "025177524776", "169.254.43518", "169.16689662", "3232235777",
    "0xc0a80101", "0", "00", "0x0", "0.0", "0.0.0", "4294967295", "4294967296", "6425673729",
    "127.0x", "127.0.0.0x", "a.127.0.0.1", "example.com.0x7f000001", "example.com.1",
]  # fmt: skip

UNICODE = [
    "１２７.0.0.1", "１２７．０．０．１", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1",
    "①②⑦.⓪.⓪.①", "①②⑦.0.0.1", "𝟏𝟐𝟕.0.0.1", "𝟙𝟚𝟟.𝟘.𝟘.𝟙", "¹²⁷.⁰.⁰.¹", "₁₂₇.₀.₀.₁",
    "127.0.0.\u00ad1", "127.0.0.\u200b1", "127.0.0.1\u00ad", "\u2060127.0.0.1", "\ufeff127.0.0.1",
    "127.0.0.⒈", "0ｘ7f000001", "２１３０７０６４３３", "169。254。169。254", "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "ｌｏｃａｌｈｏｓｔ", "ℓocalhost", "localhoſt", "loc\u00adalhost",
    "loc\u200balhost", "localhost\u3002", "LOCALHOST", "LocalHost.", "metadata。google。internal",
    "ｍetadata.google.internal", "METADATA.Google.Internal",
]  # fmt: skip

BRACKETS = [
    "[127.0.0.1]", "[localhost]", "[::1", "::1]", "[[::1]]", "[]", "[::1].", "[::1]x", "x[::1]",
    "[::1%25lo]", "[::1%lo]", "[fe80::1%25eth0]", "[fe80::1%eth0]", "[fe80::1%2525eth0]",
    "[::ffff:127.0.0.1%25lo]", "[v1.fe80::1]", "[::ffff:0x7f.1]", "[::ffff:127.1]",
    "[::ffff:0177.0.0.1]", "[０:0:0:0:0:0:0:1]", "[::①]", "[ ::1]", "[::1 ]", "[0:0:0:0:0:0:0:0:1]",
    "[::12345]",
]  # fmt: skip

ESCAPED = [
    "127%2e0%2e0%2e1", "%31%32%37.0.0.1", "127.0.0.1%00", "127.0.0.1%00.public.test",
    "127.0.0.1%20", "127.0.0.1%0d%0a", "127.0.0.1%2f", "public.test%2f@127.0.0.1",
    "public.test%40127.0.0.1", "localhos%74", "%6c%6f%63%61%6c%68%6f%73%74", "%5b%3a%3a1%5d",
    "127.0.0.1%23.public.test", "127.0.0.1%3f.public.test", "127.0.0.1%5c.public.test",
]  # fmt: skip

# What two parsers read as two hosts.
CONFUSING = [
    "http://public.test@127.0.0.1:{port}/", "http://public.test:80@127.0.0.1:{port}/",
    "http://public.test:x@127.0.0.1:{port}/", "http://127.0.0.1:{port}@public.test/",
    "http://@127.0.0.1:{port}/", "http://:@127.0.0.1:{port}/", "http://a@b@127.0.0.1:{port}/",
    "http://public.test\\@127.0.0.1:{port}/", "http://127.0.0.1:{port}\\@public.test/",
    "http://127.0.0.1:{port}\\.public.test/", "http:\\\\127.0.0.1:{port}\\",
    "http:/\\127.0.0.1:{port}/", "http://127.1.1.1:{port}\\@127.2.2.2:{port}/",
    "http://127.0.0.1:{port}#@public.test/", "http://127.0.0.1:{port}?@public.test/",
    "http://127.0.0.1:{port}/@public.test/", "http://127.0.0.1:{port}#.public.test/",
    "http://[::1]:{port}#@public.test/", "http://[::1]@public.test:{port}/",
    "http://&@127.0.0.1:{port}# @public.test/", "http://127.0.0.1:{port}:80/",
    "http://127.0.0.1:80:{port}/", "http://public.test:80:{port}/", "http://public.test::{port}/",
    "http://127.0.0.1;public.test:{port}/", "http://public.test;127.0.0.1:{port}/",
    "http://127.0.0.1,public.test:{port}/", "http://127.0.0.1&public.test:{port}/",
    "http://127.0.0.1 public.test:{port}/", "http://public.test 127.0.0.1:{port}/",
    "http://127.0.0.1\tpublic.test:{port}/", "http://1\t27.0.0.1:{port}/",
    "http://127.0.0.1\n:{port}/", "http://127.0.0.1:{port}\r\nHost: public.test/",
    "http://127.0.0.1\x00.public.test:{port}/", "http://127.0.0.1\x7f:{port}/",
    "http://127.0.0.1\x85:{port}/", "http://127.0.0.1\u2028:{port}/",
    "http://127.0.0.1\u00a0:{port}/", "http://127.0.0.1\u3000:{port}/",
    " http://127.0.0.1:{port}/", "\thttp://127.0.0.1:{port}/", "\x01http://127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/\n", "ht\ntp://127.0.0.1:{port}/", "http:// 127.0.0.1:{port}/",
    "http://(127.0.0.1):{port}/", "http://127.0.0.1*:{port}/", "http://-127.0.0.1:{port}/",
    "http://.127.0.0.1:{port}/", "http://_.127.0.0.1:{port}/", "http://$127.0.0.1:{port}/",
    "http://{{127.0.0.1}}:{port}/", "http://<127.0.0.1>:{port}/", "http://'127.0.0.1':{port}/",
    "http://0://public.test:80;http://127.0.0.1:{port}/", "http://http://127.0.0.1:{port}/",
    "hTTp://127.0.0.1:{port}/", "HTTPS://127.0.0.1:{port}/", "https://[::1]:{port}/",
]  # fmt: skip

# No absolute URL at all; resolved against a public one, they lead there and nowhere else.
FRAGMENTS = [
    "http:127.0.0.1:{port}/", "http:/127.0.0.1:{port}/", "http:///127.0.0.1:{port}/",
    "http:////127.0.0.1:{port}/", "http://", "http:", "127.0.0.1:{port}", "localhost:{port}/x",
    "///127.0.0.1:{port}/", "/127.0.0.1:{port}/", "@127.0.0.1:{port}/", "?127.0.0.1:{port}",
    "#127.0.0.1:{port}", "", ".", "http:http://127.0.0.1:{port}/", "<http://127.0.0.1:{port}/>",
]  # fmt: skip

PORTS = [
    "http://public.test:0/", "http://public.test:65536/", "http://public.test:99999/",
    "http://public.test:100080/", "http://public.test:-1/", "http://public.test:+80/",
    "http://public.test: 80/", "http://public.test:80 /", "http://public.test:8_0/",
    "http://public.test:80a/", "http://public.test:0x50/", "http://public.test:８０/",
    "http://public.test:%38%30/", "http://public.test:1e2/", "http://public.test:22/",
    "http://public.test:00022/", "http://public.test:25/", "http://public.test:6000/",
    "http://public.test:6667/", "https://public.test:993/", "http://public.test:10080/",
    "http://93.184.216.34:25/", "http://[2606:2800:220:1:248:1893:25c8:1946]:110/",
]  # fmt: skip

SCHEMES = [
    "file:///etc/passwd", "file://127.0.0.1/etc/passwd", "file://localhost/etc/passwd",
    "file:/etc/passwd", "FILE:///etc/passwd", "ftp://127.0.0.1:{port}/", "ftps://public.test/",
    "sftp://127.0.0.1:{port}/", "scp://127.0.0.1:{port}/", "tftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_x", "dict://127.0.0.1:{port}/", "ldap://127.0.0.1:{port}/",
    "smb://127.0.0.1/share", "telnet://127.0.0.1:{port}/", "ws://127.0.0.1:{port}/",
    "wss://public.test/", "http+unix://%2fvar%2frun%2fdocker.sock/x", "unix:/var/run/docker.sock",
    "jar:http://127.0.0.1:{port}!/", "netdoc:///etc/passwd", "view-source:http://127.0.0.1:{port}/",
    "blob:http://127.0.0.1:{port}/x", "data:text/plain,x", "data://text/plain,x",
    "javascript:alert(1)", "mailto:root@localhost", "php://filter/resource=/etc/passwd",
    "expect://id", "about:blank", "httpx://127.0.0.1:{port}/", "https+x://127.0.0.1:{port}/",
    "url:http://127.0.0.1:{port}/", "h\u200bttp://127.0.0.1:{port}/",
]  # fmt: skip

# Names, and what the name service answers; the answer to each name above is in here, too.
NAMES: dict[str, list[str]] = {
    "public.test": [PUBLIC],
    "public6.test": [PUBLIC_6],
    "localhost": ["127.0.0.1", "::1"],
    "http": ["127.0.0.1"],  # the host of "http://http://127.0.0.1/"
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "any.localhost": ["127.0.0.1"],
    "127.0.0.1.nip.test": ["127.0.0.1"],
    "7f000001.rebind.test": ["127.0.0.1"],
    "xn--lcalhost-54a.test": ["127.0.0.1"],
    "a_b.internal.test": ["10.0.0.1"],
    "mixed.test": [PUBLIC, "127.0.0.1"],
    "mixed-first.test": ["127.0.0.1", PUBLIC],
    "mixed-last.test": [*[f"93.184.216.{n}" for n in range(1, 60)], "10.0.0.1"],
    "mixed-families.test": [PUBLIC, "::1"],
    "mixed-six.test": [PUBLIC_6, "fd00::1"],
    "mixed-metadata.test": [PUBLIC, "169.254.169.254"],
    "mixed-azure.test": [PUBLIC, "168.63.129.16"],
    "mixed-mapped.test": [PUBLIC_6, f"::ffff:{PUBLIC}"],
    "mixed-nonsense.test": [PUBLIC, "not an address"],
    "zone.test": ["fe80::1%eth0"],
    "zone-on-public.test": [f"{PUBLIC_6}%lo", "::1%lo"],
    "nonsense.test": ["not an address"],
    "number.test": ["2130706433"],
    "short.test": ["127.1"],
    "metadata": [PUBLIC],
    "metadata.google.internal": [PUBLIC],
    "metadata.goog": [PUBLIC],
    "metadata.azure.internal": [PUBLIC],
    "instance-data": [PUBLIC],
    "instance-data.ec2.internal": [PUBLIC],
    # An alias: the name service follows it and answers what the inner name has.
    "www.alias.test": ["10.0.0.8"],
    "cdn.alias.test": [PUBLIC, "192.168.7.7"],
}
GOOD_NAMES = {"public.test", "public6.test"}
BAD_NAMES = sorted(NAMES.keys() - GOOD_NAMES)
BAD_NAMES += [f"{name}." for name in ("localhost", "mixed.test", "metadata.google.internal")]

HOSTS: dict[str, list[str]] = {
    "IPv4": LITERALS_4,
    "IPv6": [f"[{literal}]" for literal in LITERALS_6],
    "a number": NUMBERS,
    "Unicode": UNICODE,
    "brackets": BRACKETS,
    "escaped": ESCAPED,
    "a name": BAD_NAMES,
}
NAMES |= {f"v4-{n}.test": [literal] for n, literal in enumerate(LITERALS_4)}
NAMES |= {f"v6-{n}.test": [literal] for n, literal in enumerate(LITERALS_6)}
HOSTS["a name for IPv4"] = [f"v4-{n}.test" for n, _ in enumerate(LITERALS_4)]
HOSTS["a name for IPv6"] = [f"v6-{n}.test" for n, _ in enumerate(LITERALS_6)]

URLS: dict[str, list[str]] = {
    **{kind: [f"http://{host}:{{port}}/x" for host in hosts] for kind, hosts in HOSTS.items()},
    "confusing": CONFUSING,
    "a fragment": FRAGMENTS,
    "a port": PORTS,
    "a scheme": SCHEMES,
}
CORPUS = [(kind, url) for kind, urls in URLS.items() for url in urls]

# What mentions a private address and means a public one: RFC 3986 leaves no doubt.
MEANS_PUBLIC = [
    "http://public.test:{port}/#@127.0.0.1/", "http://public.test:{port}#@127.0.0.1/",
    "http://public.test:{port}?@127.0.0.1/", "http://public.test:{port}/?u=http://127.0.0.1/",
    "http://public.test:{port}/@127.0.0.1/", "http://public.test:{port}//127.0.0.1/",
    "http://public.test:{port}/..//127.0.0.1/", "http://public.test:{port}/;@127.0.0.1/",
    "http://public.test:{port}/%2f%2f127.0.0.1/", "http://PUBLIC.test.:{port}/",
    "http://93.184.216.34:{port}/127.0.0.1", "http://ｐublic。test:{port}/",
]  # fmt: skip
