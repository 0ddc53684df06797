"""The second witness: a recorder that watches a running program and feeds what it sees to the same state and rules.

`hooks` patches torch while a recorder is active and takes everything back afterwards, `sites` finds the user's line,
`probe` reads modules, parameters and optimizers, `recorder` turns both into events, `launch` runs a script under it,
`watch` is the same for a program's own use. torch is imported below this package only.
"""
