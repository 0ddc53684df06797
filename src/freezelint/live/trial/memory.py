"""Bytes: of tensors, of what autograd keeps for the backward pass, and of the process."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def storages(tensors: Iterable[torch.Tensor]) -> dict[int, int]:
    """The bytes of what the tensors lie in, by address: views and tied weights count once."""
    found: dict[int, int] = {}
    for tensor in tensors:
        if tensor.layout is torch.strided and tensor.device.type != "meta":
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
    return found


def of(tensors: Iterable[torch.Tensor]) -> int:
    """Bytes that the tensors take together."""
    return sum(storages(tensors).values())


def state_of(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of an optimizer's state."""
    return of(v for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor))


@contextlib.contextmanager
def saved(besides: Iterable[torch.Tensor]) -> Iterator[dict[int, int]]:
    """What autograd saves for the backward pass inside, by address, besides weights and the batch."""
    others = storages(besides)
    found: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        found.update(storages([tensor]))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield found
    for address in others:
        found.pop(address, None)


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """The tensors in what a model takes or gives, however they are packed."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from tensors_in(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from tensors_in(inner)


def digest(tensor: torch.Tensor) -> bytes:
    """A fingerprint of every bit of a tensor, without a copy of it beside it (on the CPU)."""
    flat = tensor.detach().cpu().contiguous()
    if not flat.numel():
        return b""
    memory = (ctypes.c_char * (flat.numel() * flat.element_size())).from_address(flat.data_ptr())
    return hashlib.blake2b(memory, digest_size=16).digest()


class Peak:
    """The most memory that was in use since this began: by the allocator on CUDA, else of the process as a whole."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
        else:
            with contextlib.suppress(OSError):
                REFERENCES.write_text("5", encoding="ascii")  # Linux: the peak begins anew

    def read(self) -> int | None:
        """In bytes; None where the system does not tell."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return _line_of_status("VmHWM") or _most_ever()


def in_use() -> int | None:
    """What the process takes now."""
    return _line_of_status("VmRSS") or _most_ever()


def _line_of_status(name: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in STATUS.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _most_ever() -> int | None:
    """Without /proc: the largest size of the process since it began."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return any(words in str(error) for words in ("not enough memory", "can't allocate memory"))
