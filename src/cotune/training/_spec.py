"""The training and evaluation sections of a recipe."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from .._errors import unknown_name
from .._spec import Spec

Factor = Literal["A", "B", "core", "router", "weight"]
Strategy = Literal["no", "steps", "epoch"]


class EvaluationSpec(Spec):
    """How a model is scored."""

    batch_size: int = Field(
        default=16, ge=1, description="Rows scored at once, on each device."
    )
    max_new_tokens: int = Field(
        default=64,
        ge=1,
        description="Most tokens generated for an answer (kinds text and chat with a "
        "metric that reads text).",
    )


class TrainingSpec(Spec):
    """How a model is trained. Names and meanings are those of TrainingArguments."""

    learning_rate: float = Field(
        default=3e-4, gt=0, description="Peak learning rate, > 0."
    )
    loraplus_lr_ratio: float | None = Field(
        default=None,
        gt=0,
        description="LoRA+: learning rate of B as a multiple of learning_rate.",
    )
    factor_lr_ratio: dict[Factor, float] = Field(
        default_factory=dict,
        description="Learning rate of a factor (A, B, core, router, weight) as a "
        "multiple of learning_rate, > 0.",
    )
    num_train_epochs: float = Field(
        default=3.0, gt=0, description="Passes over the mixture, if max_steps is -1."
    )
    max_steps: int = Field(
        default=-1,
        ge=-1,
        description="Optimizer steps; -1: as many as the epochs need.",
    )
    per_device_train_batch_size: int = Field(
        default=16, ge=1, description="Rows per device and forward pass."
    )
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="Forward passes per optimizer step."
    )
    warmup_steps: float = Field(
        default=0,
        ge=0,
        description="Steps in which the rate rises to its peak; below 1: as a share of "
        "all steps.",
    )
    lr_scheduler_type: str = Field(
        default="cosine", description="Schedule of the rate, as transformers names it."
    )
    optim: str = Field(
        default="adamw_torch", description="Optimizer, as transformers names it."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Weight decay.")
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="Beta 1 of Adam.")
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, description="Beta 2 of Adam.")
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="Largest norm of the gradient; 0: any."
    )
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**32,  # NumPy takes no larger one.
        description="Seed of starts, row order, dropout and draws.",
    )
    bf16: bool = Field(default=False, description="Autocast to bfloat16.")
    fp16: bool = Field(default=False, description="Autocast to float16 (GPU only).")
    gradient_checkpointing: bool = Field(
        default=False, description="Compute activations again in backward: less memory."
    )
    logging_steps: int = Field(default=10, ge=1, description="Steps between two logs.")
    eval_strategy: Strategy | None = Field(
        default=None,
        description="When validation rows are scored in training: no, steps or epoch. "
        "None: steps if eval_steps is set, else no.",
    )
    eval_steps: int | None = Field(
        default=None, ge=1, description="Steps between two evaluations."
    )
    save_strategy: Strategy = Field(
        default="epoch", description="When checkpoints are written: no, steps or epoch."
    )
    save_steps: int | None = Field(
        default=None, ge=1, description="Steps between two checkpoints."
    )
    save_total_limit: int | None = Field(
        default=2, ge=1, description="Most checkpoints kept; the best one comes on top."
    )
    metric_for_best_model: str | None = Field(
        default=None,
        description="What the best checkpoint has the best of: loss, mean_<metric>, "
        "worst_<metric> or <task>_<metric> over validation rows. None: loss.",
    )
    load_best_model_at_end: bool = Field(
        default=False, description="End with the best checkpoint, not with the last."
    )
    early_stopping_patience: int | None = Field(
        default=None,
        ge=1,
        description="Stop after so many evaluations without a better "
        "metric_for_best_model; ends with the best checkpoint.",
    )
    early_stopping_threshold: float = Field(
        default=0.0, ge=0, description="What counts as better, in units of the metric."
    )
    report_to: tuple[str, ...] = Field(
        default=(), description="Loggers of transformers, e.g. tensorboard, wandb."
    )
    run_name: str | None = Field(default=None, description="Name for the loggers.")
    use_cpu: bool = Field(default=False, description="Leave accelerators alone.")
    dataloader_num_workers: int = Field(
        default=0, ge=0, description="Processes that prepare batches; 0: none."
    )
    ddp_find_unused_parameters: bool | None = Field(
        default=None,
        description="With several processes: look for parameters that a step does not "
        "use. None: as transformers decides. Schedules that switch layers off need it.",
    )
    fsdp: bool = Field(
        default=False, description="Shard the model over the devices (FSDP)."
    )
    fsdp_config: dict[str, Any] | None = Field(
        default=None, description="Settings of FSDP, as in transformers."
    )
    disable_tqdm: bool = Field(default=False, description="Show no progress bars.")
    arguments: dict[str, Any] = Field(
        default_factory=dict,
        description="Any other field of transformers' TrainingArguments.",
    )

    @field_validator("report_to", mode="before")
    @classmethod
    def _read_text(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("report_to")
    @classmethod
    def _drop_none(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return () if names == ("none",) else names

    @field_validator("factor_lr_ratio")
    @classmethod
    def _check_ratios(cls, ratios: dict[Factor, float]) -> dict[Factor, float]:
        for factor, ratio in ratios.items():
            if ratio <= 0:
                raise ValueError(f"the ratio of {factor} must be > 0, got {ratio}.")
        return ratios

    @field_validator("lr_scheduler_type")
    @classmethod
    def _check_schedule(cls, name: str) -> str:
        if name not in _SCHEDULES:
            raise ValueError(unknown_name("lr_scheduler_type", name, _SCHEDULES))
        return name

    @model_validator(mode="after")
    def _check(self) -> TrainingSpec:
        faults = [text for broken, text in self._rules() if broken]
        if faults:
            raise ValueError("training: " + " ".join(faults))
        return self

    def _rules(self) -> list[tuple[bool, str]]:
        ratios = self.factor_lr_ratio
        return [
            (
                self.loraplus_lr_ratio is not None and "B" in ratios,
                "loraplus_lr_ratio and factor_lr_ratio.B say the same; leave one out.",
            ),
            (self.bf16 and self.fp16, "bf16 and fp16 exclude each other; choose one."),
            (self.max_steps == 0, "max_steps must be -1 or at least 1, got 0."),
            (
                self.evaluates == "steps" and self.eval_steps is None,
                "eval_strategy: steps needs eval_steps.",
            ),
            (
                self.evaluates != "steps" and self.eval_steps is not None,
                f"eval_steps goes with eval_strategy: steps, got {self.evaluates}.",
            ),
            (
                self.save_strategy == "steps" and self.save_steps is None,
                "save_strategy: steps needs save_steps.",
            ),
            (
                self.save_strategy != "steps" and self.save_steps is not None,
                f"save_steps goes with save_strategy: steps, got {self.save_strategy}.",
            ),
            *self._best_rules(),
        ]

    def _best_rules(self) -> list[tuple[bool, str]]:
        if not self.keeps_best:
            stray = self.metric_for_best_model is not None
            text = (
                "metric_for_best_model goes with load_best_model_at_end or "
                "early_stopping_patience."
            )
            return [(stray, text)]
        steps = (self.eval_steps or 1, self.save_steps or 1)
        return [
            (
                self.evaluates == "no" or self.save_strategy != self.evaluates,
                "the best model needs evaluations and checkpoints at the same times, "
                f"got eval_strategy {self.evaluates}, save_strategy "
                f"{self.save_strategy}.",
            ),
            (
                bool(steps[1] % steps[0]),
                "the best model needs save_steps to be a multiple of eval_steps, got "
                f"{steps[1]} and {steps[0]}.",
            ),
        ]

    @property
    def evaluates(self) -> Strategy:
        """Return when validation rows are scored in training."""
        if self.eval_strategy is not None:
            return self.eval_strategy
        return "no" if self.eval_steps is None else "steps"

    @property
    def keeps_best(self) -> bool:
        """Return whether the run ends with the best checkpoint."""
        return self.load_best_model_at_end or self.early_stopping_patience is not None

    @property
    def lr_ratios(self) -> dict[str, float]:
        """Return the multiple of the learning rate per factor that has one."""
        plus = self.loraplus_lr_ratio
        own: dict[str, float] = {} if plus is None else {"B": plus}
        return {**own, **self.factor_lr_ratio}


_SCHEDULES = (
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "constant",
    "constant_with_warmup",
    "inverse_sqrt",
    "cosine_with_min_lr",
    "warmup_stable_decay",
    "reduce_lr_on_plateau",
)
