"""Findings as JSON, and back."""

from __future__ import annotations

from typing import Any

from freezelint.finding import Edit, Finding, Fix, Severity, Site
from freezelint.static.checked import Checked
from freezelint.static.notebook import Cell


def packed(one: Checked, cells: tuple[Cell, ...], marked: bool) -> dict[str, Any]:
    """What the check of a file gave; what is empty is left out. `marked`: it has suppression comments."""
    told = {
        "findings": [_finding(finding) for finding in one.findings],
        "excused": [[slug, *_site(site)] for slug, site in sorted(one.excused)],
        "made": sorted(one.made),
        "alone": [[*key, [_finding(finding) for finding in found]] for key, found in sorted(one.alone.items())],
        "cells": [[cell.number, cell.first, cell.last] for cell in cells],
        "marked": marked,
    }
    return {key: value for key, value in told.items() if value}


def unpacked(path: str, told: dict[str, Any]) -> Checked:
    """What the check of a file gave."""
    return Checked(
        path,
        findings=[_finding_of(one) for one in told.get("findings", ())],
        excused={(slug, Site(*site)) for slug, *site in told.get("excused", ())},
        made={(file, name) for file, name in told.get("made", ())},
        alone={(file, name): [_finding_of(one) for one in found] for file, name, found in told.get("alone", ())},
    )


def cells_of(told: dict[str, Any]) -> tuple[Cell, ...]:
    """The cells of a notebook."""
    return tuple(Cell(*cell) for cell in told.get("cells", ()))


def _site(site: Site) -> list[Any]:
    return [site.path, site.line, site.column, site.end_line, site.end_column, site.cell, site.message]


def _finding(one: Finding) -> list[Any]:
    fix = one.fix and [one.fix.applicability, one.fix.message, [_edit(edit) for edit in one.fix.edits]]
    return [
        one.rule,
        int(one.severity),
        one.message,
        _site(one.site),
        [_site(step) for step in one.related],
        one.when,
        one.confirm,
        fix,
        one.source_line,
        one.about and _site(one.about),
    ]


def _edit(edit: Edit) -> list[Any]:
    return [edit.path, edit.line, edit.column, edit.end_line, edit.end_column, edit.text, edit.cell]


def _finding_of(told: list[Any]) -> Finding:
    rule, severity, message, site, related, when, confirm, fix, line, about = told
    return Finding(
        rule,
        Severity(severity),
        message,
        Site(*site),
        tuple(Site(*step) for step in related),
        when,
        confirm,
        fix and Fix(fix[0], fix[1], tuple(Edit(*edit) for edit in fix[2])),
        line,
        about and Site(*about),
    )
