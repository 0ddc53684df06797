"""What the user asked for and cannot have."""


class Refused(ValueError):
    """The text is one line for the user."""
