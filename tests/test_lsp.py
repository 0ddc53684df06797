"""A session with the language server, held by the client of pygls over pipes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pygls")

from lsprotocol import types as lsp
from pygls.lsp.client import BaseLanguageClient

from two_files import MODEL

TRAIN = """\
import torch
from model import build

net = build()
for p in net[0].parameters():
    p.requires_grad = False
"π😀"; optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
for epoch in range(9):
    if epoch == 3:
        for p in net[0].parameters():
            p.requires_grad = True
    loss = net(torch.randn(2, 2)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""
SECONDS = 20


class Session:
    """An editor: it opens documents and listens to what is published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = BaseLanguageClient("tests", "1")
        self.published: dict[str, list[lsp.Diagnostic]] = {}
        self.messages: list[str] = []
        self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda params: self._published(params))
        self.client.feature(lsp.WINDOW_SHOW_MESSAGE)(lambda params: self.messages.append(params.message))

    def _published(self, params: lsp.PublishDiagnosticsParams) -> None:
        self.published[Path(params.uri).name] = list(params.diagnostics)

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str | None = None) -> None:
        text = (self.folder / name).read_text(encoding="utf-8") if text is None else text
        self.client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(self.uri(name), "python", 1, text))
        )

    def change(self, name: str, version: int, text: str) -> None:
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(version, self.uri(name)),
                [lsp.TextDocumentContentChangeWholeDocument(text)],
            )
        )

    async def until(self, name: str, *rules: str) -> list[lsp.Diagnostic]:
        """Wait until exactly these rules are shown in a document."""
        for _ in range(SECONDS * 20):
            shown = self.published.get(name)
            if shown is not None and sorted(str(one.code) for one in shown) == sorted(rules):
                return shown
            await asyncio.sleep(0.05)
        raise AssertionError(f"{name}: {self.published.get(name)}")


@asynccontextmanager
async def session(folder: Path) -> AsyncIterator[Session]:
    editor = Session(folder)
    await editor.client.start_io(sys.executable, "-m", "freezelint", "lsp")
    try:
        start = lsp.InitializeParams(lsp.ClientCapabilities(), root_uri=folder.as_uri())
        await asyncio.wait_for(editor.client.initialize_async(start), SECONDS)
        editor.client.initialized(lsp.InitializedParams())
        yield editor
    finally:
        # Also after a failure: a server that is not told to end would be waited for.
        await asyncio.wait_for(editor.client.shutdown_async(None), SECONDS)
        editor.client.exit(None)
        await asyncio.wait_for(editor.client.stop(), SECONDS)


def held(folder: Path, work: Callable[[Session], Awaitable[Any]]) -> None:
    """Run one session to its end."""

    async def run() -> None:
        async with session(folder) as editor:
            await work(editor)

    asyncio.run(run())


@pytest.fixture
def project(folder: Path) -> Path:
    (folder / "model.py").write_text(MODEL)
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    return folder


def test_a_session(project: Path) -> None:
    async def work(editor: Session) -> None:
        editor.open("train.py")
        [found] = await editor.until("train.py", "unfreeze-not-in-optimizer")
        assert found.severity is lsp.DiagnosticSeverity.Error and found.source == "freezelint"
        assert (found.range.start.line, found.range.start.character) == (10, 12)
        related = found.related_information
        assert related and related[0].message.startswith("1. ")
        where = related[0].location.range.start
        line = TRAIN.splitlines()[6]
        before = line.index("torch.optim")
        assert (where.line, where.character) == (6, before + 1), "an emoji is two units of UTF-16"

        [imported] = await editor.until("model.py", "misspelled-requires-grad")
        assert imported.range.start.line == 5

        at = lsp.Position(10, 14)
        hover = await editor.client.text_document_hover_async(
            lsp.HoverParams(lsp.TextDocumentIdentifier(editor.uri("train.py")), at)
        )
        assert hover is not None and isinstance(hover.contents, lsp.MarkupContent)
        assert hover.contents.value.startswith("# unfreeze-not-in-optimizer\n")
        nothing = await editor.client.text_document_hover_async(
            lsp.HoverParams(lsp.TextDocumentIdentifier(editor.uri("train.py")), lsp.Position(0, 0))
        )
        assert nothing is None

        editor.change("train.py", 2, TRAIN.replace("p.requires_grad = True", "pass"))
        await editor.until("train.py")
        editor.change("train.py", 3, "import torch\n")
        await editor.until("model.py")
        editor.change("train.py", 4, "def broken(:\n    loss.backward()\n")
        await editor.until("train.py", "syntax-error")
        editor.client.text_document_did_close(
            lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(editor.uri("train.py")))
        )
        await editor.until("train.py")

    held(project, work)


def test_a_module_is_checked_through_the_scripts_that_import_it(project: Path) -> None:
    text = MODEL.replace("require_grad", "requires_grad") + (
        "\n\ndef unfreeze(net):\n    for p in net[0].parameters():\n        p.requires_grad = True\n"
    )
    (project / "model.py").write_text(text)
    train = TRAIN.replace("import build", "import build, unfreeze")
    train = train.replace(
        "        for p in net[0].parameters():\n            p.requires_grad = True", "        unfreeze(net)"
    )
    (project / "train.py").write_text(train, encoding="utf-8")

    async def work(editor: Session) -> None:
        editor.open("model.py")
        [found] = await editor.until("model.py", "unfreeze-not-in-optimizer")
        assert found.range.start.line == 11
        editor.change("model.py", 2, "\n" + text)
        await editor.until("model.py")
        (project / "model.py").write_text("\n" + text)
        editor.client.text_document_did_save(
            lsp.DidSaveTextDocumentParams(lsp.TextDocumentIdentifier(editor.uri("model.py")))
        )
        [found] = await editor.until("model.py", "unfreeze-not-in-optimizer")
        assert found.range.start.line == 12

    held(project, work)


def test_what_the_baseline_lists_is_not_shown(project: Path) -> None:
    from freezelint.__main__ import run

    (project / "freezelint.toml").write_text('baseline = "known.json"\n')
    run([".", "--write-baseline"])

    async def work(editor: Session) -> None:
        editor.open("train.py")
        await editor.until("train.py")
        editor.change("train.py", 2, TRAIN + "p.require_grad = False\n")
        await editor.until("train.py", "misspelled-requires-grad")
        assert not editor.published.get("model.py")

    held(project, work)


def test_the_comment_that_suppresses(project: Path) -> None:
    async def work(editor: Session) -> None:
        editor.open("model.py")
        [found] = await editor.until("model.py", "misspelled-requires-grad")
        actions = await editor.client.text_document_code_action_async(
            lsp.CodeActionParams(
                lsp.TextDocumentIdentifier(editor.uri("model.py")), found.range, lsp.CodeActionContext([found])
            )
        )
        titles = {action.title: action for action in actions or [] if isinstance(action, lsp.CodeAction)}
        fix = titles["spell it `requires_grad`"]
        assert fix.is_preferred and fix.edit is not None and fix.edit.changes is not None
        [spelled] = fix.edit.changes[editor.uri("model.py")]
        assert (spelled.new_text, spelled.range.start.character, spelled.range.end.character) == (
            "requires_grad",
            18,
            30,
        )
        edit = titles["suppress misspelled-requires-grad here"].edit
        assert edit is not None and edit.changes is not None
        [change] = edit.changes[editor.uri("model.py")]
        assert change.range.start.line == change.range.end.line == 5
        lines = MODEL.splitlines()
        assert change.new_text == f"{lines[5]}  # freezelint: ignore[misspelled-requires-grad] -- say why"
        lines[5] = change.new_text
        editor.change("model.py", 2, "\n".join(lines))
        await editor.until("model.py")

    held(project, work)


def test_a_saved_document_and_a_wrong_configuration(project: Path) -> None:
    async def work(editor: Session) -> None:
        editor.open("train.py")
        await editor.until("model.py", "misspelled-requires-grad")
        (project / "model.py").write_text(MODEL.replace("require_grad", "requires_grad"))
        editor.client.text_document_did_save(
            lsp.DidSaveTextDocumentParams(lsp.TextDocumentIdentifier(editor.uri("model.py")))
        )
        await editor.until("model.py")
        (project / "freezelint.toml").write_text("selct = []\n")
        editor.change("train.py", 2, TRAIN + "\n")
        await editor.until("train.py")
        assert any("did you mean 'select'?" in message for message in editor.messages)

    held(project, work)


def cell(number: int) -> str:
    return f"vscode-notebook-cell:/train.ipynb#W{number}sZmlsZQ%3D%3D"


def code(*numbers: int) -> list[lsp.NotebookCell]:
    return [lsp.NotebookCell(lsp.NotebookCellKind.Code, cell(number)) for number in numbers]


def test_a_notebook_is_told_in_its_cells(project: Path) -> None:
    start, loop = TRAIN.split("for epoch")
    (project / "mein buch").mkdir()
    (project / "mein buch/model.py").write_text(MODEL)
    book = (project / "mein buch/训练.ipynb").as_uri()
    texts = ["%matplotlib inline\n!ls\n" + start, "for epoch" + loop, "%matplotlib inline\nnet.eval\nx = 1"]

    async def work(editor: Session) -> None:
        def change(version: int, **what: Any) -> None:
            editor.client.notebook_document_did_change(
                lsp.DidChangeNotebookDocumentParams(
                    lsp.VersionedNotebookDocumentIdentifier(version, book),
                    lsp.NotebookDocumentChangeEvent(cells=lsp.NotebookDocumentCellChanges(**what)),
                )
            )

        async def actions(number: int, found: lsp.Diagnostic) -> dict[str, list[lsp.TextEdit]]:
            offered = await editor.client.text_document_code_action_async(
                lsp.CodeActionParams(
                    lsp.TextDocumentIdentifier(cell(number)), found.range, lsp.CodeActionContext([found])
                )
            )
            listed = [action for action in offered or [] if isinstance(action, lsp.CodeAction)]
            return {one.title: list((one.edit.changes or {})[cell(number)]) for one in listed if one.edit}

        documents = [lsp.TextDocumentItem(cell(number), "python", 1, text) for number, text in enumerate(texts)]
        note = lsp.NotebookCell(lsp.NotebookCellKind.Markup, "vscode-notebook-cell:/train.ipynb#note")
        cells = [note, *code(0, 1, 2)]
        editor.client.notebook_document_did_open(
            lsp.DidOpenNotebookDocumentParams(lsp.NotebookDocument(book, "jupyter-notebook", 1, cells), documents)
        )
        [found] = await editor.until(Path(cell(1)).name, "unfreeze-not-in-optimizer")
        assert (found.range.start.line, found.range.start.character) == (3, 12)
        steps = [(step.location.uri, step.location.range.start.line) for step in found.related_information or []]
        assert steps[0] == (cell(0), 8)
        [called] = await editor.until(Path(cell(2)).name, "mode-not-called")
        assert called.range.start.line == 1
        await editor.until("model.py", "misspelled-requires-grad")

        edits = await actions(2, called)
        assert [(edit.range.start.line, edit.new_text) for edit in edits["call it"]] == [(1, "()")]
        comment = "net.eval  # freezelint: ignore[mode-not-called] -- say why"
        [edit] = edits["suppress mode-not-called here"]
        assert (edit.range.start.line, edit.new_text) == (1, comment)

        # A cell before the others is taken out: the rest keeps its own places.
        array = lsp.NotebookCellArrayChange(0, 2, code(3))
        structure = lsp.NotebookDocumentCellChangeStructure(
            array,
            [lsp.TextDocumentItem(cell(3), "python", 1, start)],
            [lsp.TextDocumentIdentifier(cell(0))],
        )
        change(2, structure=structure)
        for _ in range(SECONDS * 20):
            [found] = await editor.until(Path(cell(1)).name, "unfreeze-not-in-optimizer")
            step = (found.related_information or [])[0].location
            if (step.uri, step.range.start.line) == (cell(3), 6):
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError(step)

        mended = lsp.TextDocumentContentChangeWholeDocument("net.eval()\n")
        content = lsp.NotebookDocumentCellContentChanges(lsp.VersionedTextDocumentIdentifier(2, cell(2)), [mended])
        change(3, text_content=[content])
        await editor.until(Path(cell(2)).name)
        identifiers = [lsp.TextDocumentIdentifier(cell(number)) for number in (1, 2, 3)]
        editor.client.notebook_document_did_close(
            lsp.DidCloseNotebookDocumentParams(lsp.NotebookDocumentIdentifier(book), identifiers)
        )
        await editor.until(Path(cell(1)).name)
        await editor.until("model.py")

    held(project / "mein buch", work)


def test_names_that_are_quoted_in_a_uri(project: Path) -> None:
    (project / "mein modell 分类.py").write_text(MODEL)
    (project / "alt.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": MODEL}]}))

    async def work(editor: Session) -> None:
        editor.open("alt.ipynb")
        await editor.until("alt.ipynb")
        editor.open("mein modell 分类.py")
        shown = Path(editor.uri("mein modell 分类.py")).name
        [found] = await editor.until(shown, "misspelled-requires-grad")
        uri = editor.uri("mein modell 分类.py")
        hover = await editor.client.text_document_hover_async(
            lsp.HoverParams(lsp.TextDocumentIdentifier(uri), found.range.start)
        )
        assert hover is not None
        editor.change("mein modell 分类.py", 2, "x = 1\n")
        await editor.until(shown)

    held(project, work)
