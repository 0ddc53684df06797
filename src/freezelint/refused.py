"""What the user asked for and cannot have."""


class Refused(ValueError):
    """The text is one line for the user."""


def missing(who: str, library: str, extra: str) -> str:
    """What is said where a library of an extra is not there."""
    return f"{who} needs {library}, which is not installed here: pip install '.[{extra}]' in freezelint's checkout"
