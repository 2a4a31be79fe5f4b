"""What a command says, where it says it, and how it ends.

Data goes to stdout, everything else to stderr. With `--json` each record is one JSON
object on a line of stdout, and so is the error a command ends with. Text from outside
is shown escaped. The exit code comes from the error and from nothing else.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import click

from wharfinger import names
from wharfinger.cli import streams
from wharfinger.cli.stopping import Stopped
from wharfinger.cli.wording import for_terminal
from wharfinger.errors import (
    EXIT_INTERRUPTED,
    EXIT_OTHER,
    EXIT_USAGE,
    ResponseError,
    WharfingerError,
)

# C1 controls, directions, separators, surrogates: json.dumps escapes the others by itself.
_UNSEEN: Final = re.compile(
    "[\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_KEY: Final = "wharfinger.json"


# --- choosing -----------------------------------------------------------------------------


def prepare(command: click.Command) -> None:
    """Give a command, and the commands below it, the option `--json` unless it has its own."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            prepare(below)
        return
    if not any("--json" in parameter.opts for parameter in command.params):
        command.params.append(
            click.Option(
                ["--json", "as_json"],
                is_flag=True,
                expose_value=False,
                callback=_remember,
                is_eager=True,
                help="Print one JSON object a line, errors too.",
            )
        )


def _remember(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().meta[_KEY] = True


def is_json() -> bool:
    """Return whether the running command was asked for JSON."""
    ctx = click.get_current_context(silent=True)
    return ctx is not None and bool(ctx.find_root().meta.get(_KEY))


# --- saying -------------------------------------------------------------------------------


def emit(record: Mapping[str, object], text: str | None = None) -> None:
    """Print one piece of data on stdout: the record as JSON, or else the text.

    Args:
        record: plain JSON values.
        text: what a person reads; without it the record's values, one `key: value` a line.
    """
    if is_json():
        _line(_json(record))
    elif text is not None:
        _line(text)
    else:
        for key, value in record.items():
            _line(f"{names.show(key)}: {names.show('' if value is None else str(value))}")


def note(text: str) -> None:
    """Print a remark for people on stderr."""
    click.echo(text, err=True)


def _json(record: Mapping[str, object]) -> str:
    """Return one line of JSON that a terminal shows as it is: nothing in it moves the cursor."""
    return _UNSEEN.sub(
        lambda match: f"\\u{ord(match[0]):04x}", json.dumps(record, ensure_ascii=False)
    )


def _line(text: str) -> None:
    with streams.writing():
        click.echo(text)
        sys.stdout.flush()


_explained: dict[int, str] = {}


def explain(status: int, hint: str) -> None:
    """Give the hint for the case that a server answers with this error status.

    From any thread; it also holds for the error that a command ends with.
    """
    _explained[status] = hint


def fail(error: WharfingerError, *, subject: str = "") -> int:
    """Print an error, of one of several subjects, and return the exit code that belongs to it."""
    more: dict[str, object] = {"file": subject} if subject else {}
    if isinstance(error, ResponseError):
        more |= {"status": error.status, "problem": error.problem}
    detail, hint = words_of(error)
    return _say_error(error.code, detail, hint, error.exit_code, more)


def words_of(error: WharfingerError) -> tuple[str, str]:
    """Return what an error says, and what it advises, in the words of the command line."""
    hint = error.hint
    if isinstance(error, ResponseError):
        hint = _explained.get(error.status, hint)
    return for_terminal(error.detail), for_terminal(hint)


def _say_error(
    code: str, detail: str, hint: str, exit_code: int, more: Mapping[str, object] | None = None
) -> int:
    more = more or {}
    if _json_wanted() and not streams.silenced():
        record = {"code": code, "detail": detail, "hint": hint, "exit_code": exit_code, **more}
        _line(_json({"error": record}))
    else:
        subject = names.show(str(more.get("file", "")))
        named = f"{subject}: " if subject and not detail.startswith(subject) else ""
        note(f"error: {named}{names.show(detail, limit=1000)} ({code})")
        if hint:
            note(f"hint: {names.show(hint, limit=1000)}")
    return exit_code


_wanted = False


def _json_wanted() -> bool:
    # A wrong call fails before its options are read.
    return _wanted or is_json()


# --- ending -------------------------------------------------------------------------------


def run(command: click.Command, args: Sequence[str] | None) -> int:
    """Run a command and return the exit code it ends with; never raises."""
    global _wanted  # noqa: PLW0603 - one process runs one command line
    words = list(sys.argv[1:] if args is None else args)
    _explained.clear()
    _wanted = "--json" in words[: words.index("--")] if "--" in words else "--json" in words
    streams.repair()
    try:
        result = command.main(words, prog_name="wharf", standalone_mode=False)
        with streams.writing():
            sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except WharfingerError as error:
        return fail(error)
    except click.exceptions.NoArgsIsHelpError as error:
        note(error.format_message())
        return EXIT_USAGE
    except click.ClickException as error:
        return _wrong_call(error)
    except (KeyboardInterrupt, click.Abort) as interrupt:
        return _interrupted(interrupt)
    except BrokenPipeError:
        streams.silence()  # whoever read our output has enough
        return EXIT_OTHER
    except Exception:  # noqa: BLE001 - the outermost function of this shell
        return _internal()


def _wrong_call(error: click.ClickException) -> int:
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"`{error.ctx.command_path} --help` explains the command."
    return _say_error("usage", error.format_message(), hint, EXIT_USAGE)


def _interrupted(interrupt: BaseException) -> int:
    cause: BaseException | None = interrupt
    notes: list[str] = []
    said, exit_code = "Interrupted.", EXIT_INTERRUPTED
    while cause is not None:
        notes = notes or list(getattr(cause, "__notes__", ()))
        if isinstance(cause, Stopped):
            said, exit_code = f"Stopped by {signal.Signals(cause.number).name}.", cause.exit_code
        cause = cause.__cause__ or cause.__context__
    return _say_error("interrupted-by-user", said, " ".join(notes), exit_code)


def _internal() -> int:
    reference = os.urandom(6).hex()
    if os.environ.get("WHARFINGER_DEBUG"):
        import traceback

        traceback.print_exc()
    kind = sys.exc_info()[0]
    return _say_error(
        "internal",
        f"Something went wrong that is our fault ({kind.__name__ if kind else 'unknown'}), "
        f"reference {reference}.",
        "Set WHARFINGER_DEBUG=1 for the details, and please report them.",
        EXIT_OTHER,
    )


def unknown_command(ctx: click.Context, name: str, known: Sequence[str]) -> None:
    """Refuse a command that does not exist, with a suggestion."""
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    suggestion = f" Did you mean {near[0]!r}?" if near else ""
    raise click.UsageError(f"There is no command {names.show(name, limit=40)!r}.{suggestion}", ctx)
