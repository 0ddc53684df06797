"""One strategy of freezing, measured in the process that this runs in: the side of `freezelint measure` that has torch.

`worker` takes a job and gives an answer, both as JSON; `subject` builds what is measured; `layout` finds out in which
order its layers run; `prepare` does to it what a strategy says; `memory` counts bytes.
"""
