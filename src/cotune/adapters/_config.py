"""The config of one bank, with PEFT's field names, and the named presets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

from peft.config import PeftConfig
from peft.utils import PeftType

from .._errors import ConfigError, unknown_name
from ._card import add_loading_section
from ._config_faults import form_faults, task_faults
from ._core import CORES
from ._coupling import COUPLINGS, BankSize, Coupling
from ._methods import find_method
from ._register import add_peft_type
from ._start import STARTS

add_peft_type()


def _help(text: str, **kwargs: Any) -> Any:
    return field(metadata={"help": text}, **kwargs)


@dataclass
class CoTuneConfig(PeftConfig):
    """Config of one collaborative bank: every method is a choice of its fields.

    ``method`` fills what is left at None from the method table. Fields that PEFT's
    ``LoraConfig`` has too mean the same here.

    Args:
        r: Rank of one factor, >= 1.
        target_modules: Which layers to adapt: names, a regex, or ``"all-linear"``.
        lora_alpha: Numerator of the scale alpha / r.
        lora_dropout: Probability of zeroing an entry of the adapter's input, [0, 1).
        use_rslora: Take alpha / sqrt(r) as the scale.
        method: Name in the method table; see ``cotune methods``.
        num_A: Size of the A bank, >= 1, or ``"tasks"`` for one factor per task.
        num_B: Size of the B bank, likewise.
        coupling: Which A feeds which B.
        core: Personal core per task: ``none``, ``full``, ``diag`` or ``scalar``.
        start: What the factors are before the first step.
        start_svd: ``fast`` (randomised) or ``exact``, for starts that decompose.
        start_svd_iterations: Blocks of the fast SVD after the first, >= 0.
        tasks: Names of the tasks, in the order of the per-task tensors.
        default_task: Task of samples that name none.
        router_balance: Coefficient of the load-balancing loss, >= 0.
        fast: ``auto``: the fast path where it applies; ``off``: never; ``on``: refuse
            base layers where it does not apply.
        init_weights: False draws B at random, so that the adapter changes the output.
        exclude_modules: Layers not to adapt, as ``target_modules``.
        layers_to_transform: Indices of the blocks to adapt; 0 counts.
        layers_pattern: Name of the list of blocks, if it is not a common one.
        rank_pattern: Layer name or regex -> r.
        alpha_pattern: Layer name or regex -> lora_alpha.
        modules_to_save: Other modules to train and save, e.g. a new head.
        bias: Only ``none``: biases stay as they are.

    Raises:
        ConfigError: Fields that do not fit; all faults in one message.

    Example:
        >>> config = CoTuneConfig(method="cola", r=8, num_B=4)
        >>> config.num_A, config.num_B, config.coupling, config.start
        (2, 4, 'full', 'pissa')
    """

    r: int = _help("Rank of one factor, >= 1.", default=8)
    target_modules: list[str] | set[str] | str | None = _help(
        "Layers to adapt: names, a regex, or 'all-linear'.", default=None
    )
    lora_alpha: float = _help("Numerator of the scale alpha / r.", default=16)
    lora_dropout: float = _help("Dropout on the adapter's input, [0, 1).", default=0.0)
    use_rslora: bool = _help("Scale by alpha / sqrt(r).", default=False)
    method: str = _help("Name in the method table.", default="lora")
    num_A: int | str | None = _help("Size of the A bank, or 'tasks'.", default=None)
    num_B: int | str | None = _help("Size of the B bank, or 'tasks'.", default=None)
    coupling: str | None = _help("Which A feeds which B.", default=None)
    core: str | None = _help("Personal core: none, full, diag, scalar.", default=None)
    start: str | None = _help("Start of the factors.", default=None)
    start_svd: str = _help("SVD of a start: fast or exact.", default="fast")
    start_svd_iterations: int = _help("Blocks of the fast SVD, >= 0.", default=12)
    tasks: list[str] | None = _help("Names of the tasks.", default=None)
    default_task: str | None = _help("Task of samples that name none.", default=None)
    router_balance: float = _help("Load-balancing coefficient, >= 0.", default=0.0)
    fast: str = _help("Fast path: auto, on or off.", default="auto")
    init_weights: bool = _help("False: random B.", default=True)
    exclude_modules: list[str] | set[str] | str | None = _help(
        "Layers not to adapt.", default=None
    )
    layers_to_transform: list[int] | int | None = _help(
        "Blocks to adapt.", default=None
    )
    layers_pattern: list[str] | str | None = _help("List of blocks.", default=None)
    rank_pattern: dict[str, int] | None = _help("Layer -> r.", default_factory=dict)
    alpha_pattern: dict[str, float] | None = _help(
        "Layer -> lora_alpha.", default_factory=dict
    )
    modules_to_save: list[str] | None = _help("Other trained modules.", default=None)
    bias: str = _help("Only 'none'.", default="none")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType["COTUNE"]
        for name in ("target_modules", "exclude_modules"):
            if isinstance(value := getattr(self, name), list):
                setattr(self, name, set(value))
        if not isinstance(self.tasks, str):  # else a fault, of as many names as letters
            self.tasks = list(self.tasks or [])
        self.rank_pattern = dict(self.rank_pattern or {})
        self.alpha_pattern = dict(self.alpha_pattern or {})
        faults = [*self._name_faults(), *form_faults(self)]
        if not faults:
            self._fill_from_method()
            faults = list(self._value_faults())
        if faults:
            raise ConfigError(f"{type(self).__name__}: " + "\n".join(faults))

    @property
    def coupling_object(self) -> Coupling:
        """Return the coupling that the config names."""
        return COUPLINGS[str(self.coupling)]()

    @property
    def sizes(self) -> tuple[BankSize, BankSize]:
        """Return what the config asks for: (num_A, num_B)."""
        return _size(self.num_A), _size(self.num_B)

    @property
    def needs_tasks(self) -> bool:
        """Whether a sample without a task cannot be computed."""
        return self.core != "none" or self.coupling_object.needs_tasks

    def scale(self, r: int, alpha: float) -> float:
        """Return alpha / r, or alpha / sqrt(r) with rslora."""
        return alpha / (r**0.5 if self.use_rslora else r)

    def save_pretrained(
        self, save_directory: str | PathLike[str], **kwargs: Any
    ) -> None:
        """Write the config, and say in the model card how to load the adapter."""
        super().save_pretrained(str(save_directory), **kwargs)
        add_loading_section(save_directory)

    def _fill_from_method(self) -> None:
        method = find_method(self.method)
        changed = self.coupling not in (None, method.coupling)
        self.coupling = self.coupling or method.coupling
        sizes = self.coupling_object.default_sizes if changed else None
        preset_A, preset_B = sizes or (method.num_A, method.num_B)
        self.num_A = preset_A if self.num_A is None else self.num_A
        self.num_B = preset_B if self.num_B is None else self.num_B
        self.core = self.core or method.core
        self.start = self.start or method.start

    def _name_faults(self) -> Iterator[str]:
        try:
            find_method(self.method)
        except ConfigError as error:
            yield f"method: {error}"
        tables = {
            "coupling": list(COUPLINGS),
            "core": ["none", *CORES],
            "start": list(STARTS),
            "start_svd": ["fast", "exact"],
            "fast": ["auto", "on", "off"],
        }
        for name, known in tables.items():
            value = getattr(self, name)
            if value is not None and value not in known:
                yield f"{name}: {unknown_name(name, value, known)}"

    def _value_faults(self) -> Iterator[str]:
        yield from task_faults(self)
        if self.bias != "none":
            yield f"bias: must be 'none', got {self.bias!r}. Biases are not trained."
        try:
            self.coupling_object.check(*self.sizes)
        except (ConfigError, TypeError) as error:
            yield str(error)


def has_task_parts(config: Mapping[str, Any]) -> bool:
    """Return whether the adapter of a config file computes tasks differently."""
    core, coupling = config.get("core") or "none", config.get("coupling") or "full"
    return core != "none" or COUPLINGS[coupling]().needs_tasks


def _size(value: int | str | None) -> BankSize:
    return "tasks" if value == "tasks" else int(value or 0)
