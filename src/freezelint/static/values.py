"""Abstract values: what an expression can be, as far as training events are concerned.

Immutable and comparable, so that worlds can be compared. What can change (instances, lists, dictionaries) lives in a
world's heap as a record; `Obj` and `Ref` name its place there. Everything not understood is a `Sym`, whose key tells
two unknowns apart and lets two tests of the same unknown agree.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from freezelint.trace.events import Use
from freezelint.trace.regions import Part, Test, View
from freezelint.trace.tri import UNSURE, YES, Tri

if TYPE_CHECKING:
    from freezelint.static.modules import ClassInfo, FunctionInfo, Module

Members = tuple[tuple[View, Part], ...]  # (how names look from the model that was asked, the part)


class Value:
    """Base of all abstract values."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Const(Value):
    """A constant of the program."""

    value: Any

    def __eq__(self, other: object) -> bool:  # 1 == True, but they are different constants
        return isinstance(other, Const) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


NONE = Const(None)


@dataclass(frozen=True, slots=True, eq=False)
class Nothing(Const):
    """The None that a method returned which changes its owner in place: `text` is the call, `xs.append(...)`."""

    text: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Sym(Value):
    """Something unknown. `text` is how the source writes it, `kind` the library class if it is an instance of one.

    Keys nest (an attribute of an item of a call), so the hash is worked out once and tells most unequal ones apart.
    """

    key: Hashable
    text: str = ""
    kind: str = ""
    _hash: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.key))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Sym) and self._hash == other._hash and self.key == other.key


@dataclass(frozen=True, slots=True)
class Lib(Value):
    """An object of a library, by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Mod(Value):
    """A module of the project."""

    module: Module


@dataclass(frozen=True, slots=True)
class Func(Value):
    """A function of the project, with the frame it closes over and what it is bound to."""

    info: FunctionInfo
    frame: int | None = None
    bound: Value | None = None


@dataclass(frozen=True, slots=True)
class Cls(Value):
    """A class of the project."""

    info: ClassInfo


@dataclass(frozen=True, slots=True)
class Method(Value):
    """A method named but not called yet, of anything that is not a project instance."""

    owner: Value
    name: str


@dataclass(frozen=True, slots=True)
class Super(Value):
    """`super()`: look-ups start after `cls` in the order of `owner`'s class."""

    owner: Value
    cls: ClassInfo


@dataclass(frozen=True, slots=True)
class Partial(Value):
    """functools.partial."""

    func: Value
    args: tuple[Value, ...]
    kwargs: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Obj(Value):
    """An instance in the heap, or the submodule of one at `path`. `worn` is the prefix that a wrapper gives names."""

    serial: int
    path: str = ""
    worn: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Ref(Value):
    """A list or dictionary in the heap."""

    serial: int


@dataclass(frozen=True, slots=True)
class Tuple(Value):
    """A tuple with known items."""

    items: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Params(Value):
    """Parameters of models. `iterator` numbers a one-shot generator; `named` when items are (name, parameter);
    `single` when it is one parameter itself; `unsure` when it may hold others too, or not all of these; `piece` is the
    index or slice that was taken of a single one; `loop` is the one over layers that a single one is of."""

    members: Members
    named: bool = False
    single: bool = False
    iterator: int | None = None
    filtered: bool = False
    unsure: bool = False
    piece: str = ""
    loop: int | None = None
    of: Obj | None = field(compare=False, default=None)  # the module that lists them

    @property
    def region(self) -> frozenset[Part]:
        """The parts, without the view on their names."""
        return frozenset(part for _, part in self.members)

    @property
    def parameter(self) -> Part | None:
        """The parameter that an `nn.Parameter(...)` made, and nothing else."""
        part = self.members[0][1] if self.single and not self.piece and len(self.members) == 1 else None
        return part if part is not None and part.parent is None and part.is_bare else None


@dataclass(frozen=True, slots=True)
class Modules(Value):
    """Modules of a model, as `modules()`, `children()` and their named forms give them; `owner` is the model."""

    owner: Value
    how: str
    named: bool = False
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True)
class Ids(Value):
    """`map(id, parameters)` and the like: names or identities that membership tests look up."""

    members: Members
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Elem(Value):
    """What a loop over parameters or modules binds: `what` is param, name, module or index. Which ones it stands for
    right now is the world's business (`world.elements[loop]`), since every test in the body narrows it."""

    loop: int
    what: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Cond(Value):
    """A truth that differs between the elements of a loop. `op`: test, flag, member, not, and, or."""

    loop: int
    op: str
    args: tuple[Any, ...] = ()
    test: Test | None = None


@dataclass(frozen=True, slots=True)
class Tensor(Value):
    """A tensor and the forwards it came out of. `forced`: its lost graph was papered over there; `loose`: something
    unknown that may have a graph of its own went in too."""

    uses: frozenset[Use] = frozenset()
    complete: Tri = YES
    forced: Any = None
    loose: bool = False
    packed: bool = False  # a PackedSequence, or what a recurrent layer made of one: its `.data` keeps the graph
    inference: Any = None  # the inference mode it was made under, when nothing was computed of it since


@dataclass(frozen=True, slots=True)
class Copy(Value):
    """A tensor that shares no flag with the parameters it came from: `.data`, `.detach()`, `state_dict()` values."""

    members: Members
    how: str


@dataclass(frozen=True, slots=True)
class StateDict(Value):
    """`module.state_dict()`; `keep_vars` makes its values the parameters themselves."""

    members: Members
    keep_vars: bool = False


@dataclass(frozen=True, slots=True)
class Opt(Value):
    """An optimizer."""

    serial: int


@dataclass(frozen=True, slots=True)
class Sched(Value):
    """A learning rate scheduler over an optimizer."""

    optimizer: int
    kind: str
    serial: int = 0
    fixed_groups: bool = False


@dataclass(frozen=True, slots=True)
class GradMode(Value):
    """A grad-mode context: torch.no_grad(), inference_mode(), set_grad_enabled(x)."""

    kind: str
    enabled: Tri
    site: Any = field(compare=False, default=None)


# Heap records --------------------------------------------------------------------------------------------------------


ON_WRAPPER = "(wrapper)"  # begins the keys of attributes that stand on DataParallel, and not on what it wraps


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance: of a project class, of a library module, or a symbolic module. `part` is None for what is no Module.
    Attribute keys are paths below the instance ("fc", "backbone.fc")."""

    kind: str
    cls: ClassInfo | None = None
    part: Part | None = None
    attrs: Mapping[str, Value] = field(default_factory=dict)
    symbolic: bool = False
    row: Any = field(default=None, compare=False)
    shares: Members = ()  # parts of other models that this one is made of


@dataclass(frozen=True, slots=True)
class Items:
    """A list or set: its items in order, and whether there may be more."""

    items: tuple[Value, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A dictionary with constant keys, and whether there may be more."""

    items: Mapping[Any, Value] = field(default_factory=dict)
    more: bool = False


def tensor_of(values: Any, complete: Tri = YES) -> Tensor:
    """A tensor computed from all of these."""
    uses: set[Use] = set()
    loose, forced, packed = False, None, False
    for value in values:
        if isinstance(value, Tensor):
            uses |= value.uses
            loose, forced, packed = loose or value.loose, forced or value.forced, packed or value.packed
            if value.complete is not YES:
                complete = UNSURE
        else:
            loose = loose or may_have_graph(value)
    return Tensor(frozenset(uses), complete, forced, loose, packed)


def leaf_of(tensor: Tensor, site: Any, loss: bool) -> Tensor:
    """A tensor told to require grad: a leaf to differentiate to, or a loss whose lost graph is papered over."""
    if loss and (tensor.uses or tensor.complete is not YES):
        return Tensor(tensor.uses, tensor.complete, site, tensor.loose)
    return Tensor(loose=True)


# Names that settings, weights of loss terms and labels go by; what is called otherwise may be an output of a network.
_PLAIN = re.compile(
    r"args?|opts?|cfg|conf(ig)?s?|h?params|settings|flags|device|dtype|dims?|axis|size|shape|reduction|mode|name|phase|"
    r"idx|ind(ex|ices)|ids?|i|j|k|n|step|epoch|eps(ilon)?|seed|lr|x|y|data|batch|images?|imgs?|inputs?|"
    r".*(alpha|beta|gamma|lambd|lamb?da|coef|weights?|temp|tau|margin|ratio|factor|scale|num_|n_|threshold|"
    r"labels?|targets?|masks?|truth|gt|classes|ignore|smoothing|loader|dataset|optim|optimizer|scheduler|parser)"
)


_COMPUTED = re.compile(r"scores?$|att(n|ention)|logits?$|feat(ure)?s?$|activations?$|hidden|outputs?$")


@functools.lru_cache(maxsize=4096)
def _is_plain(name: str) -> bool:
    return _PLAIN.fullmatch(name.lower()) is not None


_COUNTS = frozenset(
    {"number", "len", "cmp", "eq", "not", "in", "isinstance", "hasattr", "str", "format", "type", "id", "of tensor"}
)


def may_have_graph(value: Value, depth: int = 8) -> bool:
    """Whether something that is no known tensor may be one that autograd tracks: not a batch, labels or settings."""
    if isinstance(value, (Const, Lib, Cls, Mod, Opt, Sched, GradMode, Ids, Copy, StateDict)) or depth == 0:
        return False
    if isinstance(value, Tensor):
        return value.loose or bool(value.uses)
    if isinstance(value, Tuple):
        return any(may_have_graph(item, depth - 1) for item in value.items)
    if not isinstance(value, Sym):
        return not isinstance(value, (Ref, Func, Obj, Modules))
    key = value.key
    if not isinstance(key, tuple) or not key:
        return True
    if _is_plain(value.text.rpartition(".")[2]):
        return False
    what, inner = key[0], key[1:]
    if what in _COUNTS or what == "batch" or (what == "item" and isinstance(inner[0], int)):
        return False
    if what == "attr" and isinstance(inner[0], Obj):
        return True  # what a hook, a base class or code out of view put there
    if what == "attr" and _COMPUTED.search(inner[1]):
        return True  # of whatever a loop goes through: an attention processor keeps its map
    if what in ("unpack", "item", "slice", "attr", "unary", "call"):
        return any(may_have_graph(v, depth - 1) for v in inner if isinstance(v, Value))
    if what in ("op", "and", "or", "either", "joined", "any"):
        return any(may_have_graph(v, depth - 1) for v in inner if isinstance(v, Value))
    if what == "of data":
        return False
    return not value.text.startswith(("numpy.", "random.", "math.", "time.", "os.")) and "parse" not in value.text
