"""``python -m greenroom`` in this process: what it makes of its arguments."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from greenroom import AppNotStarted
from greenroom._command import main

MODULE = '''
from greenroom import ActorAdapter

adapter = again = ActorAdapter()
second = ActorAdapter("/second")


class Rooms:
    """What has an adapter with a longer name."""

    adapter = ActorAdapter("/rooms")


async def app(scope, receive, send): ...


def make_app():
    return app


def wsgi(environ, start_response): ...


number = 7
'''


class Runs(list[tuple[Any, dict[str, Any]]]):
    """What `anyio.run` was called with."""

    error: Exception | None = None

    def __call__(self, run: Any, **options: Any) -> None:
        self.append((run, options))
        if self.error is not None:
            raise self.error

    @property
    def keywords(self) -> dict[str, Any]:
        (run, _) = self[-1]
        keywords: dict[str, Any] = run.keywords
        return keywords


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Nothing is served, only noted."""
    runs = Runs()
    monkeypatch.setattr(anyio, "run", runs)
    return runs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command is given, with a few modules in it."""
    (tmp_path / "command_app.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "command_broken.py").write_text("import not_installed\n", "utf-8")
    (tmp_path / "wrong.toml").write_text("workers =", "utf-8")
    monkeypatch.chdir(tmp_path)
    # Not there for a script in bin/.
    path = [each for each in sys.path if each]
    monkeypatch.setattr(sys, "path", path)
    monkeypatch.delitem(sys.modules, "command_app", raising=False)
    return tmp_path


@pytest.fixture
def refuse(
    folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[object, str]]:
    """Give the command, which ends; its exit code, and what it says."""

    def refuse(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["serve", *arguments])
        out, err = capsys.readouterr()
        assert out == ""
        return ended.value.code, err

    return refuse


def test_an_app_is_served_as_the_defaults_say(folder: Path, runs: Runs) -> None:
    main(["serve", "command_app:app"])

    (run, options) = runs[0]
    module = sys.modules["command_app"]
    assert run.args == (module.app,)
    assert options == {"backend": "asyncio", "backend_options": {}}
    assert run.keywords["bind"] is run.keywords["config"] is None
    # Each once, in the order of the module.
    assert run.keywords["adapters"] == [module.adapter, module.second]
    assert sys.path[0] == os.getcwd()
    main(["serve", "command_app:app"])
    assert sys.path.count(os.getcwd()) == 1


def test_an_app_that_is_an_adapter_is_drained_with_the_others(
    folder: Path, runs: Runs
) -> None:
    main(["serve", "command_app:Rooms.adapter"])

    module = sys.modules["command_app"]
    found = [module.Rooms.adapter, module.adapter, module.second]
    assert runs.keywords["adapters"] == found


def test_every_loop_can_be_had(folder: Path, runs: Runs) -> None:
    main(["serve", "command_app:app", "--worker", "trio"])
    assert runs[-1][1] == {"backend": "trio", "backend_options": {}}


def test_uvloop_is_an_option_of_asyncio(
    folder: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(module: str) -> str:
        return module

    monkeypatch.setattr("greenroom._command.find_spec", find)
    main(["serve", "command_app:app", "--worker", "uvloop"])
    options = {"use_uvloop": True}
    assert runs[-1][1] == {"backend": "asyncio", "backend_options": options}


@pytest.mark.parametrize(
    ("arguments", "binds"),
    [
        (["--host", "::1"], ["::1:8000"]),
        (["--port", "0"], ["127.0.0.1:0"]),
        (["--host", "0.0.0.0", "--port", "80"], ["0.0.0.0:80"]),
        (["--bind", "unix:here", "--bind", "[::]:80"], ["unix:here", "[::]:80"]),
    ],
)
def test_it_listens_where_it_is_told(
    folder: Path, runs: Runs, arguments: list[str], binds: list[str]
) -> None:
    main(["serve", "command_app:app", *arguments])
    assert runs.keywords["bind"] == binds


def test_hypercorn_has_its_own_settings(folder: Path, runs: Runs) -> None:
    (folder / "hypercorn.toml").write_text("graceful_timeout = 0.25\n", "utf-8")
    main(["serve", "command_app:app", "--config", "hypercorn.toml"])
    assert runs.keywords["config"].graceful_timeout == 0.25


def test_a_factory_is_called(folder: Path, runs: Runs) -> None:
    main(["serve", "--factory", "command_app:make_app"])
    assert runs[0][0].args == (sys.modules["command_app"].app,)


def test_adapters_are_drained_as_they_are_named(folder: Path, runs: Runs) -> None:
    main(["serve", "command_app:app", "--adapter", "command_app:Rooms.adapter"])
    assert runs.keywords["adapters"] == [sys.modules["command_app"].Rooms.adapter]


def test_it_says_where_it_serves_and_what_it_will_drain(
    folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["serve", "command_app:app"])
    runs.keywords["task_status"].started(["http://[::1]:80", "unix:here"])
    expected = (
        "Serving on http://[::1]:80, unix:here; "
        "to drain: <ActorAdapter /ws>, <ActorAdapter /second>\n"
    )
    assert capsys.readouterr().out == expected


def test_it_says_that_it_knows_no_adapter(
    folder: Path, runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "command_plain.py").write_text("async def app(a, b, c): ...", "utf-8")
    main(["serve", "command_plain:app"])
    runs.keywords["task_status"].started(["unix:here"])
    assert capsys.readouterr().out == "Serving on unix:here; to drain: nothing\n"


# -- what is wrong -------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["command_app"], "expected module:name, such as package.module:app, got "),
        (["command_app:"], "expected module:name, such as package.module:app, got "),
        (["./command_app.py:app"], "expected module:name, such as package.module:app"),
        (["no_such_module:app"], "there is no module 'no_such_module' to get 'no_such"),
        (["os.nowhere:app"], "there is no module 'os.nowhere' to get 'os.nowhere:app'"),
        (["command_app:nothing"], "there is no 'nothing' in the module 'command_app'"),
        (["command_app:Rooms.no"], "there is no 'Rooms.no' in the module 'command_app"),
        (["command_app:number"], "command_app:number: app must be an ASGI app, got 7"),
        (["command_app:make_app"], "with (); if it makes the app, say --factory"),
        (["command_app:wsgi"], "app must be called with scope, receive and send, got"),
        (["command_app:number", "--factory"], "command_app:number is no factory: 7 "),
        (["command_app:app", "--port", "70000"], "got '127.0.0.1:70000'"),
        (
            ["command_app:app", "--bind", "x:y"],
            "bind must be host:port, [address]:port",
        ),
        (
            ["command_app:app", "--bind", "x", "--host", "y"],
            "say either --bind, or --host and --port",
        ),
        (
            ["command_app:app", "--bind", "x", "--port", "1"],
            "say either --bind, or --host and --port",
        ),
        (["command_app:app", "--config", "no.toml"], "no.toml cannot be read: [Errno"),
        (["command_app:app", "--config", "wrong.toml"], "wrong.toml cannot be read: "),
        (
            ["command_app:app", "--adapter", "command_app:number"],
            "command_app:number is no ActorAdapter, but 7",
        ),
        (["command_app:app", "--adapter", "adapter"], "expected module:name, such as"),
    ],
)
def test_what_is_wrong_is_one_line_and_an_exit_code(
    refuse: Callable[..., tuple[object, str]], arguments: list[str], why: str
) -> None:
    code, said = refuse(*arguments)
    assert code == 2
    assert said.startswith("greenroom: ")
    assert why in said
    assert said.index("\n") == len(said) - 1


def test_a_module_that_cannot_be_imported_shows_its_traceback(folder: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="not_installed"):
        main(["serve", "command_broken:app"])


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ([], "hypercorn"),
        (["--worker", "trio"], "trio"),
        (["--worker", "uvloop"], "uvloop"),
    ],
)
def test_what_is_not_installed_is_named(
    refuse: Callable[..., tuple[object, str]],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    name: str,
) -> None:
    def find(module: str) -> str | None:
        return None if module == name else module

    monkeypatch.setattr("greenroom._command.find_spec", find)
    hint = f"{name} is not installed: pip install 'greenroom[{name}]'"
    assert refuse("command_app:app", *arguments) == (2, f"greenroom: {hint}\n")


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(98, "cannot listen at x: taken"), "cannot listen at x: taken"),
        (OSError("without a number"), "without a number"),
        (AppNotStarted("no database"), "the app has not started: no database"),
    ],
)
def test_what_goes_wrong_later_is_another_exit_code(
    refuse: Callable[..., tuple[object, str]], runs: Runs, error: Exception, why: str
) -> None:
    runs.error = error
    assert refuse("command_app:app") == (1, f"greenroom: {why}\n")


@pytest.mark.parametrize("arguments", [[], ["serve"], ["serve", "--worker", "none"]])
def test_the_usage_is_shown_to_who_does_not_know_it(
    refuse: Callable[..., tuple[object, str]],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: greenroom")


def test_the_package_is_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["greenroom", "serve", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("greenroom", run_name="__main__")
    assert ended.value.code == 0
    assert "hypercorn --workers" in capsys.readouterr().out.replace("\n", " ")


def test_it_does_nothing_when_imported() -> None:
    assert runpy.run_module("greenroom.__main__", run_name="other")["main"] is main
