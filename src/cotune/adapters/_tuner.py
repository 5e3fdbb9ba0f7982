"""The PEFT side: injection, and which call gets which adapter. No mathematics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from peft.tuners.tuners_utils import BaseTuner
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
from peft.utils.other import AuxiliaryTrainingWrapper, get_pattern_key
from torch import nn

from .._errors import ConfigError, unknown_name
from ._config import CoTuneConfig
from ._layer import CollaborativeLayer
from ._tasks import attach_state, detach_state


class CoTuneModel(BaseTuner):
    """The tuner that PEFT builds for ``peft_type: COTUNE``."""

    prefix = "cotune_"
    tuner_layer_cls = CollaborativeLayer
    target_module_mapping = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the base model with its hooks, which PEFT 0.20 would go around."""
        return self.model(*args, **kwargs)

    def delete_adapter(self, adapter_name: str) -> None:
        """Delete an adapter, unless it is merged: PEFT 0.20 would leave it merged.

        Raises:
            ConfigError: It is merged.
        """
        for layer in self.model.modules():
            merged = isinstance(layer, CollaborativeLayer) and layer.merged_adapters
            if merged and adapter_name in merged:
                raise ConfigError(
                    f"delete_adapter: {adapter_name!r} must not be merged, got it "
                    "merged. Call unmerge_adapter() first."
                )
        super().delete_adapter(adapter_name)

    def _prepare_model(self, peft_config: Any, model: nn.Module) -> None:
        attach_state(model)

    def _create_and_replace(
        self,
        peft_config: Any,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        r, alpha = _rank_and_alpha(peft_config, current_key)
        if isinstance(target, CollaborativeLayer):
            target.update_layer(adapter_name, peft_config, r, alpha)
            return
        state = attach_state(self.model)
        layer = CollaborativeLayer(target, adapter_name, peft_config, r, alpha, state)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        """Let ``adapter_names=[...]`` choose one bank per sample, as PEFT does."""
        names = kwargs.get("adapter_names")
        if names is None:
            yield
            return
        state = attach_state(self.model)
        _check_adapter_names(self, names, allowed=state.mixed_training)
        state.adapter_names = list(names)
        hook = partial(_pass_names_on, state.adapter_names)
        hooks = [
            module.register_forward_pre_hook(hook, with_kwargs=True)
            for module in self.model.modules()
            if isinstance(module, AuxiliaryTrainingWrapper)
        ]
        try:
            yield
        finally:
            state.adapter_names = None
            for handle in hooks:
                handle.remove()

    def _unload_and_optionally_merge(self, *args: Any, **kwargs: Any) -> Any:
        model: Any = super()._unload_and_optionally_merge(*args, **kwargs)
        detach_state(model)
        return model


def _rank_and_alpha(config: CoTuneConfig, key: str) -> tuple[int, float]:
    ranks, alphas = config.rank_pattern or {}, config.alpha_pattern or {}
    r = ranks.get(get_pattern_key(list(ranks), key), config.r)
    alpha = alphas.get(get_pattern_key(list(alphas), key), config.lora_alpha)
    return r, alpha


def _check_adapter_names(model: CoTuneModel, names: list[str], allowed: bool) -> None:
    if model.training and not allowed:
        raise ConfigError(
            "adapter_names: must not be passed in training, got a model in training "
            "mode. Use one bank with tasks=[...], or `with mixed_training(model):`."
        )
    if not names:
        raise ConfigError("adapter_names: must have one name per sample, got none.")
    for layer in model.modules():
        if isinstance(layer, CollaborativeLayer) and layer.merged:
            raise ConfigError(
                "adapter_names: needs unmerged adapters, got "
                f"{', '.join(layer.merged_adapters)} merged. Call unmerge_adapter()."
            )
        if isinstance(layer, CollaborativeLayer) and layer.disable_adapters:
            raise ConfigError(
                "adapter_names: needs enabled adapters, got disabled ones. Use the "
                "name '__base__' for samples without an adapter."
            )
    known = ["__base__", *model.peft_config]
    for name in dict.fromkeys(names):
        if name not in known:
            raise ConfigError(unknown_name("adapter", name, known))


def _pass_names_on(
    names: list[str], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Tell a head of ``modules_to_save`` whose samples it gets (forward pre-hook)."""
    times = len(args[0]) // len(names)
    expanded = [name for name in names for _ in range(times)]
    return args, {**kwargs, "adapter_names": expanded}
