"""``cotune doctor``."""


def run_doctor() -> None:
    """Show versions and devices, and look for common mistakes."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from rich import print as show

    packages = ("cotune", "torch", "transformers", "peft", "accelerate", "datasets")
    extras = ("trl", "flwr", "opacus", "lm-eval", "plotly", "matplotlib", "bitsandbytes")
    show(f"python {platform.python_version()}, {os.cpu_count()} cores")
    for name in (*packages, *extras):
        try:
            show(f"  {name} {version(name)}")
        except PackageNotFoundError:
            show(f"  {name} is not installed" + ("" if name in packages else " (extra)"))
    faults = list(_faults())
    for fault in faults:
        show(f"[yellow]- {fault}[/yellow]")
    show("No mistakes found." if not faults else f"{len(faults)} to look at.")


def _faults() -> list[str]:
    import os

    import torch

    from ..adapters import CoTuneConfig

    found: list[str] = []
    if torch.cuda.is_available():
        from rich import print as show

        show(f"  {torch.cuda.get_device_name()}, CUDA {torch.version.cuda}")
    elif torch.version.cuda:
        found.append("torch is built for CUDA, but no GPU is seen: check the driver.")
    threads, cores = torch.get_num_threads(), os.cpu_count() or 1
    if threads > cores:
        found.append(f"torch uses {threads} threads on {cores} cores: slow.")
    if os.environ.get("TOKENIZERS_PARALLELISM") is None and cores < 4:
        found.append("TOKENIZERS_PARALLELISM is not set; false saves a few warnings.")
    CoTuneConfig(method="cola")
    return found
