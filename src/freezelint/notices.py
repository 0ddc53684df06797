"""Findings about the input and about freezelint itself, which no rule file makes: their names and pages."""

from __future__ import annotations

READ_ERROR = "read-error"
SYNTAX_ERROR = "syntax-error"
INTERNAL_ERROR = "internal-error"
UNUSED_SUPPRESSION = "unused-suppression"

NOTICES = {
    READ_ERROR: "A file could not be read, or is too large to be checked; every other file is still checked.",
    SYNTAX_ERROR: "A file is not valid Python 3 and is not checked; every other file still is.",
    INTERNAL_ERROR: "freezelint itself failed on a file. Please report it; the other files are still checked. "
    "The exit status is 2, and no comment or setting hides it.",
    UNUSED_SUPPRESSION: "A `# freezelint: ignore` comment that suppresses nothing, or that cannot be understood: "
    "remove or correct it, or it will hide a fault later.",
}

# These mean that a file was not checked at all, so no comment in that file can wave them through.
NOT_SUPPRESSIBLE = frozenset({READ_ERROR, INTERNAL_ERROR})
