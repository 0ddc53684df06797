"""Training events: the twenty-odd things a program can do that matter to what trains and what does not.

Every kind is produced by both witnesses unless its docstring says "static only" or "live only" and why. `site` is
whatever its producer can later turn into a `Site` (a syntax node, a frame); this package never looks inside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from freezelint.trace.regions import NOWHERE, Region
from freezelint.trace.tri import NO, UNSURE, YES, Tri


@dataclass(frozen=True, kw_only=True, eq=False)
class Event:
    """Something happened at `site`, in lap `lap` (0 first) of the innermost loop over steps or epochs."""

    site: Any
    lap: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class CreateModule(Event):
    """A module came to be: trainable, and in train mode unless the library returns it otherwise.

    `whole` when it is a model of a library that could have come with trained weights, no single layer; `fresh` when it
    is the head of a pretrained one, for which its checkpoint holds no weights.
    """

    region: Region
    kind: str
    whole: bool = False
    fresh: bool = False
    pretrained: Tri = UNSURE
    training: Tri = YES
    under: EnterGradMode | None = None  # what kept autograd from recording while it was built


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadWeights(Event):
    """Weights were loaded into a region. `by`: load, or copy when they come from another network's parameters.

    Of `load_state_dict` (static only: what a run loads can be compared): `strict`; `ignored` when nobody takes its
    result; `plain` when the weights go in as they were saved; `foreign` names the framework whose checkpoint of a
    larger module they are.
    """

    region: Region
    by: str = "load"
    strict: Tri = YES
    ignored: bool = False
    plain: bool = False
    foreign: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class SetRequiresGrad(Event):
    """The flag of every parameter of `region` became `to`. `how`: attribute, method, framework, from_pretrained.

    `given` is False when a setter was called without saying to what; `within` is the function the line stands in.
    `asked` (static only) is the argument or setting that it was set to, where that is written as a name. `turn` (static
    only: a run sees everything) is how many calls of code out of view came before.
    `by` is the library function that set the flags of what it was given. `via` (static only: a run has a stack) is the
    call that led to the function it stands in.
    """

    region: Region
    to: Tri
    how: str = "attribute"
    given: bool = True
    within: str = ""
    asked: str = ""
    turn: int = 0
    by: str = ""
    via: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplaceSubmodule(Event):
    """`owner.name = module`: `old` left the model, `new` joined it.

    `head` is the owner's own head, `head_name` its name, where the owner is a model of a library that has one; `within`
    is the function the line stands in.
    """

    owner: Region
    name: str
    old: Region
    new: Region
    label: str = ""
    kind: str = ""
    head: Region = NOWHERE
    head_name: str = ""
    within: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class UnfreezeTied(Event):
    """`head`, which is told to require grad, is the same parameter as `embedding`, which lies elsewhere in the model
    (`region`). Static only: a run sees one parameter."""

    region: Region
    head: str
    embedding: str
    kind: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ReplaceParameter(Event):
    """`layer.name = nn.Parameter(...)`: `new`, which requires grad unless told otherwise, stands where `old` stood.
    `derived` when it was made of the old one."""

    name: str
    old: Region
    new: Region
    derived: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Rebind(Event):
    """A variable that held a model holds another one of the same kind. Static only: a run knows objects, no names."""

    name: str
    old: Region
    new: Region
    turn: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class MissingAttribute(Event):
    """`owner.name` was read, and a known model has no such attribute. Static only: a run ends there.

    `head_name` is what the model calls its head, `kind` which model it is.
    """

    name: str
    text: str
    kind: str
    head_name: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class BuildOptimizer(Event):
    """An optimizer over `groups`. `complete` is NO/UNSURE when it may hold more than these.

    `coasts` says whether momentum or weight decay move a parameter whose gradient is zero. `nested` (static only: at
    run time there is no optimizer) is the generator that stands in the given list as one item, which raises.
    """

    optimizer: int
    kind: str
    groups: tuple[Region, ...]
    complete: Tri = YES
    filtered: bool = False
    skips_none: bool = True
    label: str = "optimizer"
    rates: tuple[float | None, ...] = ()  # the learning rate of each group, where the groups state theirs
    by: str = ""  # the framework that builds it from what the user gave it
    coasts: Tri = UNSURE
    nested: str = ""

    @property
    def allocates(self) -> bool:
        """Whether it makes room for the state of parameters without a gradient as well, as two of torch's do."""
        return self.kind in ("Adagrad", "LBFGS")


@dataclass(frozen=True, kw_only=True, eq=False)
class AddParamGroup(Event):
    """`optimizer.add_param_group` over `region`."""

    optimizer: int
    region: Region
    complete: Tri = YES
    has_lr: Tri = NO


@dataclass(frozen=True, kw_only=True, eq=False)
class AttachScheduler(Event):
    """A learning rate scheduler now drives `optimizer`. `fixed_groups` when it counts on the groups of this moment.

    It is told once more when its own lists were changed afterwards, so that they fit the groups again.
    """

    optimizer: int
    kind: str
    scheduler: int = 0
    fixed_groups: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class StepScheduler(Event):
    """A learning rate scheduler's step."""

    optimizer: int
    scheduler: int


@dataclass(frozen=True, kw_only=True, eq=False)
class SaveOptimizer(Event):
    """An optimizer's state was taken to be saved. Static only: a resume that does not fit raises in a run."""

    optimizer: int


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadOptimizer(Event):
    """A saved state was loaded into an optimizer. Static only, as SaveOptimizer."""

    optimizer: int


@dataclass(frozen=True, kw_only=True, eq=False)
class SetMode(Event):
    """train()/eval() reached every module of `region`. `by`: train, eval, framework, attribute.

    `by` is "supposed" (static only) where a class stands alone and is looked at as a model that its user will train.
    `within` is the function the line stands in, `via` (static only: a run has a stack) the call of it.
    """

    region: Region
    training: Tri
    by: str = "train"
    within: str = ""
    via: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EnterGradMode(Event):
    """Gradients are recorded (or not) from here; `how`: with, decorator, statement. `inside` is the name of the method
    that a statement stands in, "" for a plain function or script."""

    enabled: Tri
    kind: str
    how: str = "with"
    inside: str = ""

    @property
    def text(self) -> str:
        """The mode as it is written."""
        return f"torch.{self.kind}({'' if self.kind != 'set_grad_enabled' else self.enabled is YES})"


@dataclass(frozen=True, kw_only=True, eq=False)
class ExitGradMode(Event):
    """The innermost grad mode ends."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Wrap(Event):
    """`region` was wrapped: DistributedDataParallel, DataParallel, compile, FSDP, FSDP2, SyncBatchNorm, PEFT.

    `settings` are the arguments that matter, as source says them. Of an adapter (PEFT), `adapter` are its own
    parameters, `spared` names the parts that train beside them, and `said` is the place of its settings.
    """

    region: Region
    kind: str
    settings: tuple[tuple[str, str], ...] = ()
    adapter: Region = NOWHERE
    spared: tuple[str, ...] = ()
    said: Any = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkpoint(Event):
    """Gradient checkpointing of `region` was switched on (or off); `reentrant` as far as it is said. `by` is the
    framework that does it by its settings. Static only: what a model does in its forward is its own affair, and shows
    in a run as gradients that are None."""

    region: Region
    reentrant: Tri = UNSURE
    on: bool = True
    by: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenInputs(Event):
    """What a model is given requires grad from here on, so that reentrant checkpointing works. Static only, as
    Checkpoint."""

    region: Region


@dataclass(frozen=True, kw_only=True, eq=False)
class Forward(Event):
    """`region` was run. `serial` names this forward in the `Use` records of what came out of it.

    `foreign` when a model's own code ran it and it is not known to be a part of that model.
    """

    serial: int
    region: Region
    label: str = ""
    foreign: bool = False


@dataclass(frozen=True)
class Cut:
    """Where a tensor lost its graph; `how` in words: "detach()", "torch.no_grad()", "item()", ...

    `mode` is the event behind it where a grad mode cut the graph, None where a call on the tensor did.
    """

    how: str
    site: Any = field(compare=False)
    mode: EnterGradMode | None = field(compare=False, default=None)


@dataclass(frozen=True)
class Use:
    """A tensor came out of forward `serial`; `cut` says where the way back was cut, None if it was not."""

    serial: int
    cut: Cut | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Backward(Event):
    """`.backward()` of something that came from `uses`; `complete` is UNSURE when more may have gone in.

    `loose` says that something of unknown origin went in, which no forward in view made and which may have a graph of
    its own. `forced` is the place where a missing graph was papered over by `requires_grad = True`. `reached` (live
    only: source cannot tell) are the leaves that have a gradient afterwards.
    """

    uses: frozenset[Use]
    reached: Region | None = None
    complete: Tri = YES
    loose: bool = False
    forced: Any = None
    label: str = "loss"


@dataclass(frozen=True, kw_only=True, eq=False)
class UseInference(Event):
    """A layer is given a tensor that inference mode made, which it cannot keep for its backward. Static only: a run
    raises."""

    region: Region
    mode: EnterGradMode


@dataclass(frozen=True, kw_only=True, eq=False)
class AddTerm(Event):
    """A term that has lost its graph was added to a loss, or is all that a loss class gives back (`whole`). Static
    only: a run shows it as a gradient that is the same without the term."""

    uses: frozenset[Use]
    text: str
    whole: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ClipGradients(Event):
    """The gradients of `region` were clipped together: all of them go into one norm."""

    region: Region


@dataclass(frozen=True, kw_only=True, eq=False)
class ZeroGrad(Event):
    """Gradients of `region` (or of all that `optimizer` holds) were dropped, or zeroed when set_to_none is NO."""

    region: Region = NOWHERE
    optimizer: int | None = None
    set_to_none: Tri = YES


@dataclass(frozen=True, kw_only=True, eq=False)
class Step(Event):
    """An optimizer's step. `by` is the framework whose loop takes it, "" for a loop of the program's own."""

    optimizer: int
    by: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class TakeParams(Event):
    """A one-shot iterator over parameters was made. Static only: at run time a generator's history cannot be read."""

    iterator: int
    text: str


@dataclass(frozen=True, kw_only=True, eq=False)
class UseParams(Event):
    """A one-shot iterator was consumed by `by`. Static only, as TakeParams."""

    iterator: int
    by: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Escape(Event):
    """`region` went to code that is not in view: its facts are forgotten. Static only: a run sees everything."""

    region: Region
    by: str


@dataclass(frozen=True, kw_only=True, eq=False)
class WroteAttribute(Event):
    """A plain attribute was written on a parameter, module or tensor. `value` as source text.

    `target`: parameter, piece (of a parameter), module, copy, loss, tensor, unknown. `surely` is UNSURE when the kind
    of target was inferred from its use only. `own` says that the program declares or reads an attribute of this name
    itself. `how` says where a copy came from: ".data", ".detach()", "state_dict()"; or what was taken of a parameter;
    or "call": it was no assignment, but a call of `requires_grad_`.
    """

    target: str
    name: str
    value: str
    region: Region = NOWHERE
    surely: Tri = YES
    text: str = ""
    own: bool = False
    how: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class NamedButNotCalled(Event):
    """Something was named where it had to be called or assigned: `model.eval`, `torch.no_grad()`, `p.requires_grad ==
    False` as a statement. `what`: mode, grad-mode, flag. `name` of a flag: requires_grad_, comparison, not, lazy (a
    generator that nobody consumes), call (of the flag itself, which raises), several (parameters at
    once). Static only: nothing happens at run time."""

    what: str
    name: str
    text: str
    region: Region = NOWHERE


@dataclass(frozen=True, kw_only=True, eq=False)
class OverrodeTrain(Event):
    """A Module class defines `train` or `eval` itself. Static only: a run sees its effects."""

    cls: str
    name: str
    takes_mode: bool
    calls_super: bool
    returns_self: bool
    is_function: bool = True
    trains: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class HidMethod(Event):
    """`self.name = value` in a class that has a method of that name, `own` or nn.Module's. Static only: a run ends
    where the method is called."""

    cls: str
    name: str
    value: str
    own: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class UnreadArgument(Event):
    """`function` takes an argument that says what to freeze or train, and never reads it. Static only: a run does not
    see what is not read. `default` as source text, "" when it has none; `given` when a call in view gives another."""

    function: str
    name: str
    default: str = ""
    given: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class ZipApart(Event):
    """Modules and parameters were zipped, as if each module had one parameter. Static only: at run time the two are
    plain iterators."""

    modules: str
    parameters: str


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectNames(Event):
    """A name test was put to the parameters of `region`; `matched` is NO when no name of their models passes it.

    `flag_set` when flags are set for what passes (for what does not, when `negated`). `kind` and `words` are the test's
    (in, startswith, equals, ...; "literal" when a string stands alone and is true by itself); `example` shows what the
    names look like where none passes. `prefix` is what a wrapper puts before every name, where the test would match
    without it.
    """

    region: Region
    test: str
    matched: Tri
    flag_set: bool = False
    kind: str = "in"
    words: tuple[str, ...] = ()
    negated: bool = False
    example: str = ""
    strays: tuple[str, ...] = ()  # names that pass by accident: a number that goes on, a child's name deeper down
    prefix: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class End(Event):
    """The program (or the entry that was looked at) is over. `whole`: everything it made is in view until here."""

    whole: Tri = YES
