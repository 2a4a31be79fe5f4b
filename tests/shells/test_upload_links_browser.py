"""A real browser, with scripts turned off, sends files by a link."""

from __future__ import annotations

import asyncio
from pathlib import Path

from support.chromium import tab
from support.services import make_wharf
from support.shells import stand_alone


def test_a_browser_without_scripts_sends_files_and_shows_the_receipt(tmp_path: Path) -> None:
    paths = [tmp_path / "größe & <b>.txt", tmp_path / "second.txt"]
    for path in paths:
        path.write_bytes(b"text")
    with make_wharf(tmp_path / "data") as wharf, stand_alone(wharf) as url:
        link = wharf.request("files", owner="user:7", max_files=3)

        async def visit() -> tuple[str, str, int, bool]:
            async with tab(url + link.url) as page:
                await page.call("Emulation.setScriptExecutionDisabled", value=True)
                form = await page.run("document.body.innerText")
                await page.pick("input[type=file]", [str(path) for path in paths])
                await page.run("document.querySelector('form').requestSubmit()")
                await page.until("document.querySelector('h1').innerText.includes('received')")
                receipt = await page.run("document.body.innerText")
                narrow = await page.run(
                    "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
                )
                return form, receipt, await page.run("document.images.length"), narrow

        form, receipt, images, narrow = asyncio.run(visit())
        stored = {(file.name, file.owner, file.size) for file in wharf.list_files()[0]}
    assert "Send files" in form
    assert "3 of 3" in form
    assert "2 files received" in receipt
    assert "größe & <b>.txt" in receipt
    assert images == 0
    assert narrow
    assert stored == {("größe & <b>.txt", "user:7", 4), ("second.txt", "user:7", 4)}
