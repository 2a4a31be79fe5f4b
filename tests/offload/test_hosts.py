"""As it is run: `serve` with several processes, and an application under gunicorn, behind nginx."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import fronts
from support.hosts import gunicorn
from support.served import serve
from support.services import make_wharf, token
from support.shells import Browser

LARGE = bytes(range(256)) * 1200

APPLICATION = """
from flask import Flask
from wharfinger.flask import Wharfinger

app = Flask(__name__)
app.config.update(WHARFINGER_DATA={data!r}, WHARFINGER_OFFLOAD="nginx")
files = Wharfinger(app)
app.register_blueprint(files.blueprint(), url_prefix="/storage")

@app.get("/view/<id>")
def view(id):
    return files.deliver(id, download_name="\\u00dcbersicht", max_age=60)

@app.get("/whole/<id>")
def whole(id):
    return files.deliver(id, conditional=False)
"""
OF_THE_HOP = {"date", "server", "connection"}


def test_a_flask_application_under_gunicorn_hands_over(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "offloading.py").write_text(APPLICATION.format(data=str(data)), "utf-8")
    with make_wharf(data, offload="nginx") as wharf:
        stored = wharf.receive([LARGE], collection="files", name="a")
        secret = token(wharf, "read", "admin")
    offer = {"X-Sendfile-Type": "X-Accel-Redirect"}
    with (
        gunicorn("offloading:app", tmp_path, tmp_path / "log") as (url, _),
        fronts.nginx(tmp_path / "n", url, data / "files") as outside,
    ):
        direct, front = Browser(url, secret), Browser(outside, secret)
        for path in (f"/view/{stored.id}", f"/storage/files/{stored.id}"):
            assert "x-accel-redirect" in direct.ask("GET", path, headers=offer).headers
        for path in (
            f"/view/{stored.id}", f"/whole/{stored.id}", f"/storage/files/{stored.id}",
        ):  # fmt: skip
            for asked in (
                {}, {"Range": "bytes=300-"}, {"Range": "bytes=0-1"}, {"Range": "bytes=400000-"},
                {"If-Match": '"x"'}, {"If-None-Match": f'"{stored.sha256}"'},
            ):  # fmt: skip
                same(direct, front, path, asked)
        # Without ranges it is not handed over: nginx would offer and send them.
        whole = front.ask("GET", f"/whole/{stored.id}", headers={"Range": "bytes=0-1"})
        assert (whole.status, whole.headers["accept-ranges"]) == (200, "none")


def same(direct: Browser, front: Browser, path: str, asked: Mapping[str, str]) -> None:
    answers = [browser.ask("GET", path, headers=asked) for browser in (direct, front)]
    ours, theirs = (
        (a.status, {k: v for k, v in a.headers.items() if k not in OF_THE_HOP}, a.body)
        for a in answers
    )
    assert theirs == ours, (path, asked)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_serve_hands_over_and_what_is_removed_is_gone_from_every_process(
    tmp_path: Path, workers: str
) -> None:
    offload = {"WHARFINGER_OFFLOAD": "nginx", "WHARFINGER_WORKERS": workers}
    with (
        serve(tmp_path / "data", environment=offload) as served,
        fronts.nginx(tmp_path / "n", served.url, tmp_path / "data" / "files") as outside,
    ):
        front = Browser(outside, served.token)
        record = front.ask("POST", "/uploads/files", b"0123456789", {"Content-Type": ""}).json()
        for _ in range(8):  # each process has it by heart
            assert front.ask("GET", record["url"]).body == b"0123456789"
        assert front.ask("GET", record["url"], headers={"Range": "bytes=3-4"}).body == b"34"
        assert front.ask("DELETE", record["url"]).status == 204
        for _ in range(8):
            assert front.ask("GET", record["url"]).status == 404
        large = front.ask("POST", "/uploads/files", LARGE, {"Content-Type": ""}).json()
        assert front.ask("GET", large["url"]).body == LARGE
    opened = (tmp_path / "n" / "error.log").read_text("utf-8")
    assert not re.search("emerg|crit|error", opened), opened


def test_the_file_of_settings_turns_it_on(tmp_path: Path) -> None:
    config = tmp_path / "wharfinger.toml"
    config.write_text('[server]\noffload = "sendfile"\ntrusted_proxies = ["127.0.0.1"]\n', "utf-8")
    with serve(tmp_path / "data", "--config", str(config)) as served:
        record = served.browser.ask(
            "POST", "/uploads/files", b"0123456789", {"Content-Type": ""}
        ).json()
        offer = {"X-Sendfile-Type": "X-Sendfile"}
        answer = served.browser.ask("GET", record["url"], headers=offer)
        path = Path(answer.headers["x-sendfile"])
    assert path.read_bytes() == b"0123456789"
    assert path.is_relative_to(tmp_path / "data" / "files")
