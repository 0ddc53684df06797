"""Where torch is listened to, while a recorder is active. Everything is taken back when the last one is gone.

Each patch calls what it replaced, changes nothing, and tells the active recorders. Code that torch.compile traces runs
past the patches as if they were not there. What costs on every module call (`CLOSE`) is on only while a recorder asks
for it: in the first steps, and after something changed.
"""

from __future__ import annotations

import functools
import importlib.machinery
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, GeneratorType
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.optim import lr_scheduler
from torch.optim import optimizer as torch_optimizer

from freezelint.finding import Site
from freezelint.live import sites
from freezelint.live.versions import SHARDING, after_every_forward, is_compiling, schedulers


class Listener(Protocol):
    """What hooks tell. `close` says whether module calls and attribute writes are wanted now."""

    close: bool

    def hear(self, what: str, *details: Any) -> None:
        """Something happened; must not raise, other than to end the run."""


# Methods whose result has no graph. Functions such as torch.argmax are left alone: torch.jit knows them by identity.
CUTS = ("detach", "detach_", "numpy", "item", "tolist", "argmax", "argmin", "argsort", "long", "int", "bool")

_listeners: list[Listener] = []
_patches: list[Patch] = []
_close_patches: list[Patch] = []
_handles: list[Any] = []
_close_handles: list[Any] = []
_lock = threading.RLock()


def listen(listener: Listener) -> None:
    """Start telling `listener`."""
    with _lock:
        if not _listeners:
            _install()
        _listeners.append(listener)
        refresh()


def leave(listener: Listener) -> None:
    """Stop telling it; the last one to leave puts torch back as it was."""
    with _lock:
        if listener in _listeners:
            _listeners.remove(listener)
        refresh()
        if not _listeners:
            _undo(_patches, _handles)


def refresh() -> None:
    """Switch the close view on or off, as the listeners want it."""
    wanted = any(listener.close for listener in _listeners)
    with _lock:
        if wanted and not _close_handles:
            _install_close()
        elif not wanted and _close_handles:
            _undo(_close_patches, _close_handles)


def installed() -> bool:
    """Whether anything in torch is patched now."""
    return bool(_patches or _handles or _close_patches or _close_handles)


def tell(what: str, *details: Any) -> None:
    """Tell every listener."""
    for listener in tuple(_listeners):
        listener.hear(what, *details)


# Patches ------------------------------------------------------------------------------------------------------------


class Patch:
    """One attribute of a class or module, replaced until `undo`."""

    def __init__(self, target: Any, name: str, make: Callable[[Any], Any]) -> None:
        self.target, self.name = target, name
        self.was_own = name in vars(target)
        self.original = vars(target)[name] if self.was_own else getattr(target, name)
        self.replacement = make(self.original)
        setattr(target, name, self.replacement)

    def undo(self) -> None:
        """Put the original back, unless someone else has replaced the replacement: then it only passes on."""
        if vars(self.target).get(self.name) is not self.replacement:
            return
        if self.was_own:
            setattr(self.target, self.name, self.original)
        else:
            delattr(self.target, self.name)


def _undo(patches: list[Patch], handles: list[Any]) -> None:
    while patches:
        patches.pop().undo()
    while handles:
        handles.pop().remove()


def _patch(target: Any, name: str, make: Callable[[Any], Any], into: list[Patch] | None = None) -> None:
    if hasattr(target, name):
        (_patches if into is None else into).append(Patch(target, name, make))


def _after(what: str) -> Callable[[Any], Any]:
    """A wrapper that tells (self, result, *arguments) once the original has returned."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
            result = original(self, *args, **kwargs)
            if _listeners and not is_compiling():
                tell(what, self, result, args, kwargs)
            return result

        return replacement

    return make


class _Depth(threading.local):
    """How deep a thread is inside calls that are told of once, at the outermost."""

    def __init__(self) -> None:
        self.inside: dict[str, int] = {}


_depth = _Depth()


@contextmanager
def _inside(what: str) -> Iterator[bool]:
    """Whether this is the outermost call of its kind in this thread."""
    level = _depth.inside.get(what, 0)
    _depth.inside[what] = level + 1
    try:
        yield level == 0
    finally:
        _depth.inside[what] = level


def _outermost(what: str) -> Callable[[Any], Any]:
    """As `_after`, for calls that call themselves for what is below."""

    def make(original: Any) -> Any:
        @functools.wraps(original)
        def replacement(self: Any, *args: Any, **kwargs: Any) -> Any:
            if not _listeners or is_compiling():
                return original(self, *args, **kwargs)
            with _inside(what) as outermost:
                result = original(self, *args, **kwargs)
            if outermost:
                tell(what, self, result, args, kwargs)
            return result

        return replacement

    return make


def _install() -> None:
    _patch(torch.Tensor, "requires_grad", _flag_property)
    _patch(torch.Tensor, "requires_grad_", _flag_method)
    _patch(nn.Module, "train", _outermost("mode"))
    _patch(nn.Module, "load_state_dict", _outermost("load"))
    _patch(nn.Module, "zero_grad", _after("zero"))
    _patch(nn.Module, "__setstate__", _after("copied"))
    _patch(torch.optim.Optimizer, "__init__", _build)
    _patch(torch.optim.Optimizer, "add_param_group", _add_group)
    _patch(torch.optim.Optimizer, "zero_grad", _after("zero"))
    for kind in dict.fromkeys(schedulers(lr_scheduler)):
        _patch(kind, "__init__", _outermost("scheduler"))
    for kind in vars(lr_scheduler).values():
        if isinstance(kind, type) and issubclass(kind, _SCHEDULERS) and "step" in vars(kind):
            _patch(kind, "step", _schedule)
    for name in ("DistributedDataParallel", "DataParallel"):
        _patch(getattr(nn.parallel, name), "__init__", _outermost("wrap"))
    _patch(torch.autograd, "backward", _backward)
    _patch(nn.utils, "clip_grad_norm_", _clip)
    for mode in ("no_grad", "enable_grad", "inference_mode"):
        _patch(getattr(torch.autograd.grad_mode, mode), "__enter__", _enter)
        _patch(getattr(torch.autograd.grad_mode, mode), "__exit__", _exit)
    _patch(torch.autograd.grad_mode.set_grad_enabled, "__init__", _set_grad_enabled)
    _patch(torch.autograd.grad_mode.set_grad_enabled, "__enter__", _enter)
    _patch(torch.autograd.grad_mode.set_grad_enabled, "__exit__", _exit)
    _late.start()
    _handles.append(_late)
    _handles.append(nn_module.register_module_parameter_registration_hook(_parameter_registered))
    _handles.append(nn_module.register_module_module_registration_hook(_module_registered))
    _handles.append(torch_optimizer.register_optimizer_step_pre_hook(_before_step))
    _handles.append(torch_optimizer.register_optimizer_step_post_hook(_after_step))


def _install_close() -> None:
    _patch(nn.Module, "__setattr__", _attribute, _close_patches)
    _patch(nn.Parameter, "__setattr__", _attribute, _close_patches)
    for name in CUTS:
        _patch(torch.Tensor, name, _cut, _close_patches)
    _patch(torch.Tensor, "data", _data_property, _close_patches)
    _close_handles.append(_Quiet())
    _close_handles.append(nn_module.register_module_forward_pre_hook(_before_forward))
    _close_handles.append(after_every_forward(_after_forward))


class _Quiet:
    """Keeps torch.compile from warning the user of hooks on all modules, which are not the user's."""

    def __init__(self) -> None:
        warnings.filterwarnings("ignore", message=r"Using `torch\.compile\(module\)` when there are global hooks")
        self.entry = warnings.filters[0]

    def remove(self) -> None:
        """Warn as before."""
        if self.entry in warnings.filters:
            list.remove(warnings.filters, self.entry)  # type: ignore[arg-type]
            getattr(warnings, "_filters_mutated", lambda: None)()


class _Late:
    """Patches what torch itself imports only when a program asks for it: sharding takes half a second to import."""

    def start(self) -> None:
        for name in SHARDING:
            if name in sys.modules:
                self._patch(sys.modules[name])
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Find no more modules."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """As Python finds it, with a look at the module once it is there."""
        if fullname not in SHARDING:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is None or spec.loader is None:
            return None
        loader = spec.loader
        run = loader.exec_module

        def exec_module(module: Any) -> None:
            run(module)
            if _listeners:
                self._patch(module)

        loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec

    def _patch(self, module: Any) -> None:
        for name, kind in SHARDING[module.__name__]:
            found = getattr(module, name, None)
            if isinstance(found, type):
                _patch(found, "__init__", functools.partial(_sharding_class, kind))
            elif found is not None:
                _patch(module, name, functools.partial(_sharding, kind))


_late = _Late()


# What each says -----------------------------------------------------------------------------------------------------


def _flag_property(original: Any) -> property:
    def read(self: torch.Tensor) -> bool:
        value: bool = original.__get__(self)
        return value

    def write(self: torch.Tensor, value: bool) -> None:
        original.__set__(self, value)
        if _listeners and not is_compiling():
            tell("flag", self, value, "attribute", True)

    # Reading is the hot half: straight to the C getter.
    return property(original.__get__, write, doc=original.__doc__ or read.__doc__)


def _flag_method(original: Any) -> Any:
    @functools.wraps(original)
    def requires_grad_(self: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        result: torch.Tensor = original(self, *args, **kwargs)
        if _listeners and not is_compiling():
            tell("flag", self, self.requires_grad, "method", bool(args or kwargs))
        return result

    return requires_grad_


def _build(original: Any) -> Any:
    @functools.wraps(original)
    def __init__(self: torch.optim.Optimizer, params: Any, *args: Any, **kwargs: Any) -> None:
        if not _listeners:
            original(self, params, *args, **kwargs)
            return
        with _inside("group"):
            try:
                original(self, params, *args, **kwargs)
            finally:
                tell("build", self)

    return __init__


def _add_group(original: Any) -> Any:
    @functools.wraps(original)
    def add_param_group(self: torch.optim.Optimizer, param_group: Any) -> None:
        has_rate = isinstance(param_group, dict) and "lr" in param_group
        with _inside("group") as outermost:
            try:
                original(self, param_group)
            except ValueError:  # as for a parameter that another group holds: told of as what was asked for
                if _listeners:
                    tell("group", self, _asked(param_group), has_rate)
                raise
        if outermost and _listeners:
            tell("group", self, self.param_groups[-1]["params"], has_rate)

    return add_param_group


def _asked(param_group: Any) -> list[torch.Tensor]:
    """The parameters that a group was to hold; torch has made a list of them by the time it refuses it."""
    given = param_group.get("params") if isinstance(param_group, dict) else None
    return [p for p in given if isinstance(p, torch.Tensor)] if isinstance(given, list) else []


_SCHEDULERS = tuple(schedulers(lr_scheduler))


def _schedule(original: Any) -> Any:
    @functools.wraps(original)
    def step(self: Any, *args: Any, **kwargs: Any) -> None:
        with _inside("schedule") as outermost:
            raised = True  # as a scheduler does that does not know a new group
            try:
                original(self, *args, **kwargs)
                raised = False
            finally:
                making = _depth.inside.get("scheduler", 0)  # a constructor takes the first step
                if outermost and not making and _listeners and not is_compiling():
                    tell("schedule", self, raised)

    return step


def _backward(original: Any) -> Any:
    @functools.wraps(original)
    def backward(tensors: Any, *args: Any, **kwargs: Any) -> None:
        if not _listeners or is_compiling():
            original(tensors, *args, **kwargs)
            return
        tell("before backward", tensors)
        try:
            original(tensors, *args, **kwargs)
        finally:
            tell("backward", tensors)

    return backward


def _sharding(kind: str, original: Any) -> Any:
    @functools.wraps(original)
    def fully_shard(module: Any, *args: Any, **kwargs: Any) -> Any:
        if _listeners and not is_compiling():
            for one in module if isinstance(module, (list, tuple)) else [module]:
                tell("shard", one, kind, ())
        return original(module, *args, **kwargs)

    return fully_shard


def _sharding_class(kind: str, original: Any) -> Any:
    @functools.wraps(original)
    def __init__(self: Any, module: Any, *args: Any, **kwargs: Any) -> None:
        if _listeners and not is_compiling():
            kept = kwargs.get("use_orig_params")
            tell("shard", module, kind, (("use_orig_params", str(kept)),) if kept is not None else ())
        original(self, module, *args, **kwargs)

    return __init__


def _clip(original: Any) -> Any:
    @functools.wraps(original)
    def clip_grad_norm_(parameters: Any, *args: Any, **kwargs: Any) -> Any:
        if _listeners and not is_compiling() and not isinstance(parameters, torch.Tensor):
            listed = list(parameters)  # a generator can be read only once
            tell("clip", listed)
            parameters = (p for p in listed) if isinstance(parameters, GeneratorType) else listed
        return original(parameters, *args, **kwargs)

    return clip_grad_norm_


def _grad_mode_site(frame: FrameType) -> tuple[str, Site | None] | None:
    """How user code came to enter a grad mode, and where; None where torch does so for its own purposes."""
    filename = frame.f_code.co_filename
    if filename.startswith(_OWN):
        return None
    if filename.endswith("_contextlib.py"):
        function = frame.f_locals.get("func")
        code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
        if code is not None and sites.is_user_code(code.co_filename):
            return "decorator", sites.start_of(code)
        if code is None or _is_torch(code.co_filename):
            return None
        return "decorator", sites.site_of(sites.user_frame(frame))
    if _is_torch(filename):
        return None
    return "with", sites.site_of(sites.user_frame(frame))


_TORCH = torch.__file__.rpartition("__init__")[0]
_OWN = __file__.rpartition("hooks")[0]


def _is_torch(filename: str) -> bool:
    return filename.startswith(_TORCH)


def _enter(original: Any) -> Any:
    @functools.wraps(original)
    def __enter__(self: Any) -> Any:
        result = original(self)
        if _listeners and not is_compiling():
            found = _grad_mode_site(sys._getframe(1))
            if found is not None:
                tell("enter", self, torch.is_grad_enabled(), *found)
        return result

    return __enter__


def _exit(original: Any) -> Any:
    @functools.wraps(original)
    def __exit__(self: Any, *args: Any) -> Any:
        result = original(self, *args)
        if _listeners and not is_compiling():
            tell("exit", self)
        return result

    return __exit__


def _set_grad_enabled(original: Any) -> Any:
    @functools.wraps(original)
    def __init__(self: Any, mode: bool) -> None:
        original(self, mode)
        if _listeners and not is_compiling():
            frame = sys._getframe(1)
            if not _is_torch(frame.f_code.co_filename):
                user = sites.user_frame(frame)
                tell("enter", self, mode, "statement", sites.site_of(user), sites.method_of(user))

    return __init__


def _attribute(original: Any) -> Any:
    @functools.wraps(original)
    def __setattr__(self: Any, name: str, value: Any) -> None:
        if _listeners and not is_compiling() and sites.is_user_code(sys._getframe(1).f_code.co_filename):
            tell("attribute", self, name, value)
        original(self, name, value)

    return __setattr__


def _cut(original: Any) -> Any:
    how = f".{original.__name__}()"

    @functools.wraps(original)
    def cut(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if (
            _listeners
            and not is_compiling()
            and self.grad_fn is not None
            and sites.is_user_code(sys._getframe(1).f_code.co_filename)
        ):
            tell("cut", self, how)
        return original(self, *args, **kwargs)

    return cut


def _data_property(original: Any) -> property:
    def read(self: torch.Tensor) -> torch.Tensor:
        if (
            _listeners
            and not is_compiling()
            and self.grad_fn is not None
            and sites.is_user_code(sys._getframe(1).f_code.co_filename)
        ):
            tell("cut", self, ".data")
        value: torch.Tensor = original.__get__(self)
        return value

    return property(read, original.__set__, doc=original.__doc__)


def _parameter_registered(module: nn.Module, name: str, parameter: Any) -> None:
    if isinstance(parameter, torch.Tensor):
        tell("parameter", module, name, parameter)


def _module_registered(module: nn.Module, name: str, child: Any) -> None:
    if isinstance(child, nn.Module):
        tell("module", module, name, child)


def _before_forward(module: nn.Module, inputs: Any) -> None:
    if not is_compiling():
        tell("before forward", module)


def _after_forward(module: nn.Module, inputs: Any, output: Any) -> None:
    if not is_compiling():
        tell("forward", module)


def _before_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    tell("before step", optimizer)


def _after_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    tell("step", optimizer)
