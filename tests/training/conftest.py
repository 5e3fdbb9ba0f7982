"""Small models on disk and small tasks, made once."""

import pytest

from training import small_runs

SPECS = {
    "causal": {"family": "llama", "targets": ["q_proj", "v_proj"]},
    "embedding": {"family": "bert", "targets": ["query", "value"]},
    "classifier": {"family": "bert", "targets": ["query", "value"]},
}


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """Return a folder with the models ``llama`` and ``bert``."""
    folder = tmp_path_factory.mktemp("models")
    for family in ("llama", "bert"):
        small_runs.write_model(folder / family, family)
    return folder


@pytest.fixture(scope="session")
def tasks(tmp_path_factory):
    """Return two tasks with opposite answers, with all parts."""
    return small_runs.make_tasks(tmp_path_factory.mktemp("data"))


@pytest.fixture
def load_kind(root, tasks):
    """Return a function that loads a base of a kind; more arguments go to load_base."""
    from cotune.data import EncodeSpec
    from cotune.training import BaseSpec, load_base

    def load(kind="causal", some=None, *, spec=None, **settings):
        found = BaseSpec(
            name=str(root / SPECS[kind]["family"]), kind=kind, **(spec or {})
        )
        encode = EncodeSpec(max_length=40)
        return load_base(found, some or tasks, encode=encode, **settings)

    return load


@pytest.fixture
def targets():
    """Return the function that lists the layers to adapt for a kind of base."""
    return lambda kind: list(SPECS[kind]["targets"])


@pytest.fixture
def base_spec(root):
    """Return a function that names the small model of a kind."""
    from cotune.training import BaseSpec

    return lambda kind="causal": BaseSpec(
        name=str(root / SPECS[kind]["family"]), kind=kind
    )


@pytest.fixture
def quick():
    """Return a function that makes the training section of a run of a few steps."""
    from cotune.training import TrainingSpec

    def make(**settings):
        first = {
            "max_steps": 4,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-2,
            "save_strategy": "no",
            "logging_steps": 1,
            "disable_tqdm": True,
            "use_cpu": True,
        }
        return TrainingSpec(**{**first, **settings})

    return make
