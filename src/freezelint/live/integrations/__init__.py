"""Adapters for training frameworks, each in a file of its own that imports its framework: a watch from begin to end."""
