"""What errors say in the words of the library, in those of the command line."""

from __future__ import annotations

from typing import Final

from wharfinger.errors import AddressRefused, PasswordRequired

_IN_OPTIONS: Final = (
    (AddressRefused.hint, "Name it with --allow-host or --allow-network if you trust it."),
    (
        PasswordRequired.hint,
        "Give --password to be asked for it, or --password-file FILE.",
    ),
    ("overwrite=True, on the command line --force", "--force (or, with get, --rename)"),
    ("Make the same call again", "Run the same command again"),
    (", or name the port in allow_ports", ""),
    (
        "Both auth= and an Authorization header were given.",
        "Both a token or password and -H 'Authorization: ...' were given.",
    ),
    ("pass auth=, on the command line set WHARFINGER_TOKEN", "set WHARFINGER_TOKEN and --server"),
    ("pass tls=ssl.create_default_context(cafile=...)", "name it with --cacert"),
    ("pass the credentials as auth=", "sign in with --netrc or a token"),
    ("into proxy=", "into --proxy"),
    ("pass type=", "give --type"),
    ("pass resume=", "what is there is resumed"),
    ("digest=True", "--digest"),
    ("another name: pass name=", "another name: give --name"),
    ("pass a policy=, such as Policy.images()", "give a --policy, such as images"),
    ("allow_networks: ", "--allow-network: "),
    ("pass a larger max_size=", "give a larger --max-size"),
)


def for_terminal(text: str) -> str:
    """Return a message that speaks of options instead of arguments."""
    for argument, option in _IN_OPTIONS:
        text = text.replace(argument, option)
    return text
