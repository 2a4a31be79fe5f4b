"""The command line called in this process: fast, for tables. `support.command` runs the real one."""

from __future__ import annotations

import pytest

from support.command import Ran
from wharfinger.cli import main


class Caller:
    """Calls `wharf` with words and returns what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        said = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, said.out.encode("utf-8"), said.err)
