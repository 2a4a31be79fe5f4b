"""What was said of a file when it came, kept for a check that comes later.

A check comes to the same whenever it is made, and in whichever process: under the policy as an
upload link narrowed it, with the type that was claimed, and with the name only if one was given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, BinaryIO

from wharfinger.catalog import StoredFile
from wharfinger.inspection import Details, Facts, extension_of_type
from wharfinger.policy import Policy
from wharfinger.service.judging import Held, Passed, Staged
from wharfinger.service.upload_links import common_types

__all__ = ["declared_of", "facts_of", "named", "policy_of", "staged_again"]


def declared_of(staged: Staged) -> dict[str, object]:
    """Return what is kept of this."""
    return {
        "named": staged.name is not None,
        "type": staged.type,
        "link": staged.link,
        "only": None if staged.only is None else sorted(staged.only),
    }


def policy_of(declared: Mapping[str, Any], policy: Policy) -> Policy:
    """Return the policy of a collection as it is now, narrowed as it was when the file came."""
    only = declared.get("only")
    if only is None:
        return policy
    types = common_types(policy.types, frozenset(only))
    return policy.narrowed(types=types, max_size=policy.max_size)


def staged_again(
    stored: StoredFile, declared: Mapping[str, Any], policy: Policy, reader: Callable[[], BinaryIO]
) -> Staged:
    """Return a recorded file as it was when it waited to be judged."""
    return Staged(
        open=reader,
        facts=facts_of(stored),
        policy=policy,
        name=stored.name if declared.get("named", True) else None,
        type=declared.get("type"),
    )


def named(declared: Mapping[str, Any], judgement: Passed | Held) -> Passed | Held:
    """Return a judgement by which a file without a name is called what its type says."""
    if declared.get("named", True):
        return judgement
    return replace(judgement, name=f"file{extension_of_type(judgement.facts.type)}")


def facts_of(stored: StoredFile) -> Facts:
    """Return what the record of a file says of its bytes."""
    return Facts(size=stored.size, type=stored.type, sha256=stored.sha256, details=Details())
