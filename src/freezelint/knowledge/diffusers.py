"""diffusers: helpers of its training scripts."""

from __future__ import annotations

from freezelint.knowledge.rows import HarmlessRow, Row

ROWS: dict[str, Row] = {
    "diffusers.training_utils.cast_training_params": HarmlessRow(),  # the type of what trains already
    "diffusers.training_utils.compute_snr": HarmlessRow(),
    "diffusers.training_utils.free_memory": HarmlessRow(),
    "diffusers.utils.torch_utils.is_compiled_module": HarmlessRow(),
}
