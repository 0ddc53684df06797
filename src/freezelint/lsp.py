"""The language server (extra `freezelint[lsp]`): findings while you write, with their story, page and comment.

A document is checked as it stands in the editor; what it imports is read from disk. Findings in those other files are
shown there, and stay until the documents that led to them are checked again. A document that is opened or saved is
checked through the scripts that import it as well, since a fault shows where the program runs.

A notebook is one document that is made of several: its cells are checked as one program, and what is found is shown in
them. The same place may be written in several ways as a uri; what is remembered is kept by the one without quoting.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer

from freezelint import __version__, api, baseline, ignores
from freezelint.config import ConfigError, Layers, Settings
from freezelint.finding import Edit, Finding, Severity, Site
from freezelint.notices import NOTICES
from freezelint.report.base import Page, Report, told
from freezelint.static import folders, notebook
from freezelint.static.imports import Graph
from freezelint.static.project import Source, discover, display_path, opened

LEVELS = {
    Severity.ERROR: lsp.DiagnosticSeverity.Error,
    Severity.WARNING: lsp.DiagnosticSeverity.Warning,
    Severity.INFO: lsp.DiagnosticSeverity.Information,
}

# Seconds without a keystroke before an unsaved document is checked.
PAUSE = 0.7

REASON = "say why"

# What is found through the scripts that import a document is remembered under its uri with this in front.
THROUGH = "through "

# Scripts that a document is checked through.
SCRIPTS = 8


class Editor:
    """What an editor was told, by the document whose check found it."""

    def __init__(self, server: LanguageServer, pause: float = PAUSE) -> None:
        self.server = server
        self.pause = pause
        self.found: dict[str, dict[str, list[Finding]]] = {}  # checked uri, or THROUGH + uri -> uri -> findings
        self.uris: dict[str, str] = {}  # as the editor writes them, by what is the same without quoting
        self.cells: dict[str, list[str]] = {}  # of a notebook, by its path: the uris of its code cells when checked
        self.graph = Graph()
        self.pages: dict[str, Page] = {}
        self._one_at_a_time = asyncio.Lock()
        self._waiting: dict[str, asyncio.Task[None]] = {}

    # Checking --------------------------------------------------------------------------------------------------------

    def soon(self, uri: str, pause: float = 0.0, *, saved: bool = False) -> None:
        """Check a document after a pause, unless something happens to it before."""
        uri = self._same(uri)
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        if not saved:
            # These were places in the saved text; they are wrong by now.
            self._take(THROUGH + uri, [])
        self._waiting[uri] = asyncio.create_task(self._check(uri, pause, saved))

    async def _check(self, uri: str, pause: float, saved: bool) -> None:
        await asyncio.sleep(pause)
        path = uris.to_fs_path(self.uris[uri])
        if not path:
            return
        for through in (False, True) if saved else (False,):
            async with self._one_at_a_time:
                version = self._version(uri)
                if version is None:
                    return
                if not through:
                    report = await asyncio.to_thread(self._report, self._source(uri, Path(path)))
                else:
                    report = await asyncio.to_thread(self._through_scripts, Path(path))
                if self._version(uri) != version:
                    return  # checked again already, or closed
                self.pages.update(report.pages)
                self._take(THROUGH + uri if through else uri, report.findings)

    def opened(self) -> set[str]:
        """The documents that are open; of notebooks their own, not their cells'."""
        workspace = self.server.workspace
        texts = {uri for uri in workspace.text_documents if workspace.get_notebook_document(cell_uri=uri) is None}
        return texts | set(workspace.notebook_documents)

    def _version(self, uri: str) -> int | None:
        """Which text of an open document this is."""
        workspace = self.server.workspace
        book = workspace.notebook_documents.get(uri)
        if book is not None:
            return int(book.version)
        document = workspace.text_documents.get(uri)
        return None if document is None else document.version or 0

    def _source(self, uri: str, path: Path) -> Source | Finding:
        """A document as it stands in the editor."""
        workspace = self.server.workspace
        book = workspace.notebook_documents.get(uri)
        name = display_path(path)
        if book is None:
            text = workspace.text_documents[uri].source
            as_text = path.suffix == ".ipynb" and text.lstrip().startswith("{")  # its places are not those of cells
            return Source(name, "" if as_text else text)
        code = [cell.document for cell in book.cells if cell.kind == lsp.NotebookCellKind.Code]
        self.cells[name] = [self._same(cell) for cell in code]
        cells = [{"cell_type": "code", "source": workspace.get_text_document(cell).source} for cell in code]
        return opened(Source(name, json.dumps({"cells": cells})))

    def _same(self, uri: str) -> str:
        """What an editor's document is remembered by."""
        key = unquote(uri)
        self.uris[key] = uri
        return key

    def _report(self, source: Source | Finding) -> Report:
        path = Path(source.path if isinstance(source, Source) else source.site.path)
        return self._known(path, lambda config: api.check_text(source, config))

    def _through_scripts(self, path: Path) -> Report:
        """What the scripts that import a document say of it."""
        root = self.server.workspace.root_path
        if not root:
            return Report([])

        def check(config: Settings) -> Report:
            files = discover([Path(root)], config)
            scripts = self.graph.tops(self.graph.importers(files, [path.resolve()]))[:SCRIPTS]
            report = api.check(scripts, config) if scripts else Report([])
            name = display_path(path)
            return replace(report, findings=[finding for finding in report.findings if finding.site.path == name])

        return self._known(path, check)

    def _known(self, path: Path, check: Callable[[Settings], Report]) -> Report:
        """A report without what the baseline lists; nothing, and a message, when a configuration is wrong."""
        folders.forget()
        config = Layers()
        try:
            report = check(config)
            known = config.within(path.parent).baseline
            return report if known is None else baseline.apply(report, baseline.load(known), known, config)
        except (ConfigError, baseline.BaselineError) as error:
            self.server.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, f"freezelint: {error}"))
            return Report([])

    def _take(self, key: str, findings: Iterable[Finding]) -> None:
        """Remember what a check found, and tell the editor of every document whose findings may differ now."""
        by_uri: dict[str, list[Finding]] = defaultdict(list)
        for finding in findings:
            by_uri[self._place(finding.site)].append(finding)
        touched = {*by_uri, *self.found.get(key, ())}
        self.found[key] = dict(by_uri)
        for other in touched if key.startswith(THROUGH) else {key, *touched}:
            self._publish(other)

    def closed(self, uri: str) -> None:
        """Forget what the check of a document found."""
        uri = self._same(uri)
        waiting = self._waiting.pop(uri, None)
        if waiting is not None:
            waiting.cancel()
        for other in {uri, *self.found.pop(uri, ()), *self.found.pop(THROUGH + uri, ())}:
            self._publish(other)

    # Telling ---------------------------------------------------------------------------------------------------------

    def of(self, uri: str) -> list[Finding]:
        """The findings in a document, each once, whichever check found it."""
        uri = unquote(uri)
        listed: dict[tuple[str, Site], Finding] = {}
        for by_uri in self.found.values():
            for finding in by_uri.get(uri, ()):
                listed.setdefault((finding.rule, finding.site), finding)
        return list(listed.values())

    def _publish(self, uri: str) -> None:
        diagnostics = [self._diagnostic(finding) for finding in self.of(uri)]
        params = lsp.PublishDiagnosticsParams(self.uris.get(uri, uri), diagnostics)
        self.server.text_document_publish_diagnostics(params)

    def _diagnostic(self, finding: Finding) -> lsp.Diagnostic:
        return lsp.Diagnostic(
            range=self.range(finding.site),
            message=told(finding),
            severity=LEVELS[finding.severity],
            code=finding.rule,
            source="freezelint",
            related_information=[
                lsp.DiagnosticRelatedInformation(
                    lsp.Location(self._uri(step), self.range(step)), f"{number}. {step.message}"
                )
                for number, step in enumerate(finding.related, 1)
            ],
        )

    def hover(self, params: lsp.HoverParams) -> lsp.Hover | None:
        """The pages of the rules that found something here."""
        uri, at = params.text_document.uri, params.position
        here = [finding for finding in self.of(uri) if _covers(self.range(finding.site), at)]
        slugs = dict.fromkeys(finding.rule for finding in here)
        texts = [self.pages[slug].markdown for slug in slugs if slug in self.pages]
        if not texts:
            return None
        return lsp.Hover(
            lsp.MarkupContent(lsp.MarkupKind.Markdown, "\n\n---\n\n".join(texts)), self.range(here[0].site)
        )

    def actions(self, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        """The fix of a finding, if it has one, and the comment that suppresses it."""
        uri = params.text_document.uri
        offered = []
        for finding in self.of(uri):
            where = self.range(finding.site)
            if finding.rule in NOTICES or where.end < params.range.start or params.range.end < where.start:
                continue
            diagnostic = self._diagnostic(finding)
            if finding.fix is not None:
                safe = finding.fix.applicability == "safe"
                title = finding.fix.message if safe else f"{finding.fix.message} (changes training)"
                edit = self._workspace_edit(finding.fix.edits)
                offered.append(lsp.CodeAction(title, lsp.CodeActionKind.QuickFix, [diagnostic], safe, edit=edit))
            edit = self._suppression(uri, finding)
            if edit is not None:
                title = f"suppress {finding.rule} here"
                offered.append(lsp.CodeAction(title, lsp.CodeActionKind.QuickFix, [diagnostic], edit=edit))
        return offered

    def _suppression(self, uri: str, finding: Finding) -> lsp.WorkspaceEdit | None:
        text = self.server.workspace.get_text_document(uri).source
        if finding.site.cell is not None:
            text = "\n".join(notebook.python(text))
        result, done, _ = ignores.annotated(text, [finding], REASON)
        if not done:
            return None
        # A comment adds no line, so that the lines can be compared one by one.
        pairs = zip(text.splitlines(), result.splitlines(), strict=True)
        edits = [
            lsp.TextEdit(lsp.Range(lsp.Position(number, 0), lsp.Position(number, self._units(before))), after)
            for number, (before, after) in enumerate(pairs)
            if before != after
        ]
        return lsp.WorkspaceEdit({uri: edits})

    def _workspace_edit(self, edits: Iterable[Edit]) -> lsp.WorkspaceEdit:
        changes: dict[str, list[lsp.TextEdit]] = defaultdict(list)
        for edit in edits:
            site = Site(edit.path, edit.line, edit.column, edit.end_line, edit.end_column, cell=edit.cell)
            changes[self._uri(site)].append(lsp.TextEdit(self.range(site), edit.text))
        return lsp.WorkspaceEdit(dict(changes))

    # Places ----------------------------------------------------------------------------------------------------------

    def _place(self, site: Site) -> str:
        """The document that a site lies in, as it is remembered: a file or a cell."""
        cells = self.cells.get(site.path, ())
        if site.cell is not None and site.cell < len(cells):
            return cells[site.cell]
        uri = uris.from_fs_path(os.path.abspath(site.path)) or ""
        self.uris.setdefault(unquote(uri), uri)
        return unquote(uri)

    def _uri(self, site: Site) -> str:
        return self.uris[self._place(site)]

    def range(self, site: Site) -> lsp.Range:
        """A site as the editor counts: from 0, in its units."""
        try:
            lines: Sequence[str] = self.server.workspace.get_text_document(self._uri(site)).lines
        except OSError:  # a file or a cell that is gone by now
            lines = ()

        def position(line: int, column: int) -> lsp.Position:
            text = lines[line - 1] if 0 < line <= len(lines) else ""
            return lsp.Position(max(0, line - 1), self._units(text[: max(0, column - 1)]))

        return lsp.Range(
            position(site.line, site.column), position(site.end_line or site.line, site.end_column or site.column)
        )

    def _units(self, text: str) -> int:
        return int(self.server.workspace.position_codec.client_num_units(text))


def _covers(where: lsp.Range, at: lsp.Position) -> bool:
    return bool(where.start <= at <= where.end)


def build(pause: float = PAUSE) -> tuple[LanguageServer, Editor]:
    """A server, ready to be started."""
    python = [lsp.NotebookCellLanguage("python")]
    notebooks = lsp.NotebookDocumentSyncOptions(
        [lsp.NotebookDocumentFilterWithNotebook("jupyter-notebook", python)], save=True
    )
    server = LanguageServer("freezelint", __version__, notebook_document_sync=notebooks)
    editor = Editor(server, pause)

    def uri_of(params: Any) -> str:
        document = params.notebook_document if hasattr(params, "notebook_document") else params.text_document
        return str(document.uri)

    def opened(params: Any) -> None:
        editor.soon(uri_of(params), saved=True)

    def saved(params: Any) -> None:
        # Another document may import this one.
        uri = unquote(uri_of(params))
        for other in {uri, *editor.opened()}:
            editor.soon(editor.uris.get(other, other), saved=other == uri)

    def changed(params: Any) -> None:
        editor.soon(uri_of(params), editor.pause)

    def closed(params: Any) -> None:
        editor.closed(uri_of(params))

    handlers: dict[str, Any] = {
        lsp.TEXT_DOCUMENT_DID_OPEN: opened,
        lsp.TEXT_DOCUMENT_DID_SAVE: saved,
        lsp.TEXT_DOCUMENT_DID_CHANGE: changed,
        lsp.TEXT_DOCUMENT_DID_CLOSE: closed,
        lsp.NOTEBOOK_DOCUMENT_DID_OPEN: opened,
        lsp.NOTEBOOK_DOCUMENT_DID_SAVE: saved,
        lsp.NOTEBOOK_DOCUMENT_DID_CHANGE: changed,
        lsp.NOTEBOOK_DOCUMENT_DID_CLOSE: closed,
        lsp.TEXT_DOCUMENT_HOVER: lambda params: editor.hover(params),
    }
    for name, handler in handlers.items():
        server.feature(name)(handler)
    options = lsp.CodeActionOptions([lsp.CodeActionKind.QuickFix])
    server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION, options)(lambda params: editor.actions(params))
    return server, editor


def serve() -> None:
    """Serve one editor on standard input and output."""
    server, _ = build()
    server.start_io()
