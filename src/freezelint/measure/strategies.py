"""The ways of freezing that are compared, as data. `freezelint.live.trial` reads the fields and does what they say."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Strategy:
    """One way. What is meant to train is the head, or everything from the cut on; `full` means the whole model."""

    slug: str
    title: str
    cut: str = "head"  # where training starts: "start", "head", "middle" (one cut point), or "each" (a row a cut point)
    freeze: bool = True  # requires_grad=False on all before the cut
    given: str = "trainable"  # what the optimizer holds: "all", "trainable" (by requires_grad), or "meant" (by the cut)
    batchnorm_eval: bool = False
    no_grad: bool = False  # the frozen stages run under no_grad
    cached: bool = False  # the frozen part runs once; the steps start from what it returned
    checkpoint: str = ""  # "all" stages, or only those that are "unfrozen"
    reentrant: bool = False
    lora: bool = False

    def at(self, cut: str) -> str:
        """The title with the name of the cut in it."""
        return self.title.replace("CUT", cut or "its first layer")


STRATEGIES = {
    strategy.slug: strategy
    for strategy in (
        Strategy("full", "full fine-tuning", cut="start", freeze=False),
        Strategy("frozen-unfiltered", "frozen, optimizer over everything", given="all"),
        Strategy("frozen-filtered", "frozen, optimizer over what trains"),
        Strategy("only-optimizer", "nothing frozen, optimizer over the head", freeze=False, given="meant"),
        Strategy("cut", "frozen before CUT", cut="each"),
        Strategy("frozen-bn-eval", "frozen, its BatchNorm in eval", batchnorm_eval=True),
        Strategy("frozen-no-grad", "frozen, and under no_grad", no_grad=True),
        Strategy("cached-features", "features of the frozen part cached", cached=True),
        Strategy("checkpoint-full", "full, checkpointed", cut="start", freeze=False, checkpoint="all"),
        Strategy(
            "checkpoint-full-reentrant",
            "full, checkpointed, reentrant",
            cut="start",
            freeze=False,
            checkpoint="all",
            reentrant=True,
        ),
        Strategy("checkpoint-unfrozen", "frozen before CUT, rest checkpointed", cut="middle", checkpoint="unfrozen"),
        Strategy(
            "checkpoint-unfrozen-reentrant",
            "frozen before CUT, rest checkpointed, reentrant",
            cut="middle",
            checkpoint="unfrozen",
            reentrant=True,
        ),
        Strategy("lora", "LoRA and the head", lora=True),
    )
}

OPTIMIZERS = {"sgd": "SGD with momentum", "adam": "Adam", "adamw": "AdamW"}
