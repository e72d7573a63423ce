"""The chat example without a browser: how it is started, and what it serves."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from .server import ROOT, hypercorn_server

pytestmark = pytest.mark.live


def test_the_page_is_at_the_root_and_nothing_else_is(worker: str) -> None:
    with hypercorn_server("examples.chat:app", worker) as server:
        check_page(server.url)


def check_page(url: str) -> None:
    with urllib.request.urlopen(url + "/") as answer:
        page = answer.read()
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert page == (ROOT / "examples" / "chat.html").read_bytes()

    head = urllib.request.Request(url + "/", method="HEAD")
    with urllib.request.urlopen(head) as answer:
        assert answer.headers["content-length"] == str(len(page))
        assert answer.read() == b""

    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(url + "/chat.py")


def test_one_command_prints_the_address_and_serves_there(
    worker: str, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ["--worker", worker, "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, ROOT / "examples" / "chat.py", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process, process.stdout as output:
        try:
            assert f"http://127.0.0.1:{port}/" in output.readline()
            assert any("Running on" in line for line in output)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                assert answer.status == 200
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
