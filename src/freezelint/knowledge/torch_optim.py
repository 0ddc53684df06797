"""torch.optim: optimizers and schedulers, and the optimizers of other packages that behave alike."""

from __future__ import annotations

from freezelint.knowledge.rows import Arg, OptimizerRow, Row, SchedulerRow

_DECAY = Arg(9, "weight_decay")  # by name; nobody counts that far

ROWS: dict[str, Row] = {
    **{f"torch.optim.{k}": OptimizerRow() for k in ("SparseAdam", "LBFGS", "Adafactor", "Muon", "ASGD")},
    # Measured with zero_grad(set_to_none=False): these go on moving a parameter that was frozen after steps.
    **{f"torch.optim.{k}": OptimizerRow(averages=True) for k in ("Adam", "AdamW", "Adamax", "NAdam", "RAdam")},
    **{f"torch.optim.{k}": OptimizerRow(inertia=(_DECAY,)) for k in ("Adagrad", "Adadelta", "Rprop")},
    "torch.optim.SGD": OptimizerRow(inertia=(Arg(2, "momentum"), Arg(4, "weight_decay"))),
    "torch.optim.RMSprop": OptimizerRow(inertia=(Arg(4, "weight_decay"), Arg(5, "momentum"))),
    "torch.optim.Optimizer": OptimizerRow(),
    **{
        f"torch.optim.lr_scheduler.{k}": SchedulerRow()
        for k in (
            "StepLR",
            "MultiStepLR",
            "ExponentialLR",
            "CosineAnnealingLR",
            "LinearLR",
            "ConstantLR",
            "PolynomialLR",
            "ChainedScheduler",
            "SequentialLR",
            "LRScheduler",
        )
    },
    "torch.optim.lr_scheduler.ReduceLROnPlateau": SchedulerRow(per_group=Arg(7, "min_lr")),
    **{
        f"torch.optim.lr_scheduler.{k}": SchedulerRow(fixed_groups=True)
        for k in ("LambdaLR", "MultiplicativeLR", "CyclicLR", "OneCycleLR", "CosineAnnealingWarmRestarts")
    },
    "torch.optim.swa_utils.SWALR": SchedulerRow(fixed_groups=True),
    **{
        f"transformers.{k}": SchedulerRow(fixed_groups=True)
        for k in (
            "get_linear_schedule_with_warmup",
            "get_cosine_schedule_with_warmup",
            "get_constant_schedule",
            "get_constant_schedule_with_warmup",
            "get_polynomial_decay_schedule_with_warmup",
            "get_cosine_with_hard_restarts_schedule_with_warmup",
        )
    },
    "transformers.get_scheduler": SchedulerRow(optimizer=Arg(1, "optimizer"), fixed_groups=True),
    "diffusers.optimization.get_scheduler": SchedulerRow(optimizer=Arg(1, "optimizer"), fixed_groups=True),
    **{
        name: OptimizerRow()
        for name in (
            "transformers.AdamW",
            "transformers.Adafactor",
            "transformers.optimization.AdamW",
            "apex.optimizers.FusedAdam",
            "apex.optimizers.FusedLAMB",
            "apex.optimizers.FusedSGD",
            "bitsandbytes.optim.Adam8bit",
            "bitsandbytes.optim.AdamW8bit",
            "bitsandbytes.optim.PagedAdamW8bit",
            "bitsandbytes.optim.PagedAdamW32bit",
            "lion_pytorch.Lion",
            "adabelief_pytorch.AdaBelief",
            "torch_optimizer.RAdam",
            "torch_optimizer.Lamb",
            "torch_optimizer.Ranger",
            "torch_optimizer.AdaBound",
            "adabound.AdaBound",
            "dadaptation.DAdaptAdam",
            "prodigyopt.Prodigy",
            "timm.optim.AdamP",
            "timm.optim.Lookahead",
            "timm.optim.RAdam",
            "timm.optim.Lamb",
            "pytorch_optimizer.AdaBelief",
            "schedulefree.AdamWScheduleFree",
            "madgrad.MADGRAD",
            "pytorch_pretrained_bert.optimization.BertAdam",
            "pytorch_pretrained_bert.BertAdam",
            "deepspeed.ops.adam.FusedAdam",
            "deepspeed.ops.adam.DeepSpeedCPUAdam",
            "colossalai.nn.optimizer.HybridAdam",
        )
    },
}
