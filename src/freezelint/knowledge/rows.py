"""The kinds of rows: what a call of a library object means for training. Data only.

Positions count from 0; where an argument may also be given by name, `Arg(0, "params")` says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Arg:
    """An argument by position and by its keyword."""

    position: int
    name: str = ""


@dataclass(frozen=True)
class Row:
    """Base of all rows."""


@dataclass(frozen=True)
class LayerRow(Row):
    """A leaf module: its own parameters, of which those in `optional` vanish when that keyword is False.

    `rate` is the argument that holds a Dropout's probability. `differentiable` is False for what yields no gradient.
    `recurrent` layers number their parameters; their names are not modelled one by one. `freezes` is the argument that
    says whether the layer comes frozen, which it does when that is not given.
    """

    kind: str
    params: tuple[str, ...] = ()
    optional: Mapping[str, str] = field(default_factory=dict)
    rate: Arg | None = None
    freezes: Arg | None = None


@dataclass(frozen=True)
class ContainerRow(Row):
    """Sequential, ModuleList, ModuleDict: the children are the arguments. `how`: args, list, dict."""

    how: str


@dataclass(frozen=True)
class ModuleBase(Row):
    """A base class that makes its subclasses Modules. `own` are public methods that it defines beside nn.Module's."""

    lightning: bool = False


@dataclass(frozen=True)
class ModelRow(Row):
    """A whole model. `layers` is a compact listing (see `freezelint.knowledge.shapes`), "" when it is not known.

    `pretrained` names the arguments that ask for weights (any truthy one means pretrained), "always" or "" (unknown).
    `batchnorm` and `dropout` are "yes", "no" or "" (unknown); `head` is the attribute of the last layer; `training`
    is the mode on return. `by_name` is the argument that names the architecture in `family` tables.
    """

    layers: str = ""
    family: str = ""
    head: str = ""
    pretrained: tuple[Arg, ...] | str = ()
    batchnorm: str = ""
    dropout: str = ""
    training: bool = True
    by_name: Arg | None = None
    returns_tuple: bool = False


@dataclass(frozen=True)
class OptimizerRow(Row):
    """An optimizer. `skips_none`: it skips parameters without a gradient, as torch's own do.

    `averages`: it moves by a running average of gradients whatever its options say, so also where the gradient is zero.
    `inertia` are the options that do so where they are not 0: momentum and weight decay; None when it is not known.
    """

    params: Arg = Arg(0, "params")
    skips_none: bool = True
    averages: bool = False
    inertia: tuple[Arg, ...] | None = None
    wraps: bool = False  # takes another optimizer, and steps it


@dataclass(frozen=True)
class SchedulerRow(Row):
    """A learning rate scheduler; `fixed_groups` when a group added later makes it raise, or gets no rate from it.

    `per_group` is the argument that makes it so when it is a list.
    """

    optimizer: Arg = Arg(0, "optimizer")
    fixed_groups: bool = False
    per_group: Arg | None = None


@dataclass(frozen=True)
class GradModeRow(Row):
    """no_grad and its kin; `enabled` is None when the first argument says it."""

    kind: str
    enabled: bool | None = False


@dataclass(frozen=True)
class WrapRow(Row):
    """Returns the module it is given, wrapped; `kind` is what the events call it, `prefix` what names gain.

    Arguments in `settings` go along with the event, as source says them.
    """

    kind: str
    module: Arg = Arg(0, "module")
    prefix: str = ""
    hides: bool = False  # the wrapped module is reached through `.module` only
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecordRow(Row):
    """Settings: an object that keeps what it is given as attributes; `fields` names the positional ones."""

    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdapterRow(Row):
    """Hangs an adapter in a model and freezes everything else, but for what `config` says to keep.

    A `loaded` adapter comes with its weights, and trains only if the argument `trains` asks for it. `prefix` is what
    the names of the model gain.
    """

    model: Arg = Arg(0, "model")
    config: Arg | None = Arg(1, "peft_config")
    loaded: bool = False
    trains: Arg | None = None
    prefix: str = "base_model.model."


@dataclass(frozen=True)
class FreezeRow(Row):
    """Freezes a whole model and returns it. `checkpoints`: unless that argument says no, it switches on gradient
    checkpointing and lets the inputs require grad, which reentrant checkpointing needs."""

    model: Arg = Arg(0, "model")
    checkpoints: Arg | None = None


@dataclass(frozen=True)
class ThawRow(Row):
    """Sets the flags of one module or of several, and hands them to an optimizer as a group of their own."""

    modules: Arg = Arg(0, "modules")
    on: bool = True
    optimizer: Arg | None = None


@dataclass(frozen=True)
class CheckpointingRow(Row):
    """Switches gradient checkpointing of a model on or off; `settings` may say which kind."""

    settings: Arg = Arg(0, "gradient_checkpointing_kwargs")
    on: bool = True


@dataclass(frozen=True)
class InputsRow(Row):
    """Makes the inputs of a model's first layer require grad (enable_input_require_grads)."""


@dataclass(frozen=True)
class CheckpointRow(Row):
    """Runs its first argument on the others, and again in the backward pass (torch.utils.checkpoint)."""

    function: Arg = Arg(0, "function")
    sequential: bool = False  # the second argument counts segments


@dataclass(frozen=True)
class SameRow(Row):
    """Returns its argument, or a tuple of its arguments when there are several (accelerator.prepare).

    `moves` names what makes the module that it returns change by itself in train mode.
    """

    arg: Arg = Arg(0)
    every: bool = False
    moves: str = ""


@dataclass(frozen=True)
class CopyRow(Row):
    """Returns an independent copy of a module (copy.deepcopy, an EMA): another network."""

    arg: Arg = Arg(0)


@dataclass(frozen=True)
class HarmlessRow(Row):
    """Reads what it is given and changes nothing that matters."""


@dataclass(frozen=True)
class TensorRow(Row):
    """A function of tensors; `cut` says in words why no gradient flows through it, "" when it does.

    `keeps`: a tensor itself passes through with its graph, only what a list holds is copied.
    """

    cut: str = ""
    keeps: bool = False
    packs: bool | None = None  # makes a PackedSequence, or a tensor of one


@dataclass(frozen=True)
class NewTensorRow(Row):
    """A tensor of its own: its arguments say its shape and fill, and no gradient flows to them."""


@dataclass(frozen=True)
class ClipRow(Row):
    """Reads gradients of the parameters it is given (clip_grad_norm_)."""

    params: Arg = Arg(0, "parameters")


@dataclass(frozen=True)
class TrainerRow(Row):
    """A framework's trainer: which lifecycle runs the user's code, and what the trainer is given.

    `calls_train` when its loop calls `model.train()` before every step; `fields` names its positional arguments;
    `adapts` is the argument with the settings of an adapter that the trainer hangs in the model itself.
    """

    model: Arg = Arg(0, "model")
    calls_train: bool = True
    filters: bool = True
    lifecycle: str = ""
    fields: tuple[str, ...] = ()
    adapts: str = ""


@dataclass(frozen=True)
class FamilyRow(Row):
    """Names that build models of a zoo: `library` is the zoo's name there, `prefix` the names it covers.

    `by_name` is the argument that names the architecture; without it the name called is the architecture. `pretrained`
    arguments ask for weights; `weights` is what it means when none of them is given: yes, no or "" (not known).
    """

    library: str
    prefix: str
    by_name: Arg | None = None
    pretrained: tuple[Arg, ...] = ()
    weights: str = "no"
    training: bool = True
    strip: str = ""  # what follows the architecture in the name called, such as ".from_pretrained"
    config: Arg | None = None  # the settings that a class takes: those made in view ask for no weights
