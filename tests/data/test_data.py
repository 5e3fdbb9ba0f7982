import json

import pytest
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.data import DataSpec, list_tasks, load_data


def test_folders_and_tasks_become_one_list_with_the_rules_of_the_section(
    tmp_path, write, make_rows
):
    for name in ("all/a", "all/b", "own"):
        write(tmp_path / name / "train.jsonl", make_rows(20))
    own = {"name": "c", "source": "own", "kind": "choice", "limits": {"train_rows": 9}}
    data = DataSpec.model_validate(
        {
            "root": str(tmp_path),
            "folders": ["all"],
            "tasks": [{**own, "validation_share": 0.5, "on_bad_row": "error"}],
            "limits": {"train_rows": 4, "max_length": 32},
            "validation_share": 0.1,
            "on_bad_row": "skip",
        }
    )
    specs = list_tasks(data)
    assert [spec.name for spec in specs] == ["a", "b", "c"]
    assert [spec.limits.train_rows for spec in specs] == [4, 4, 9]
    assert [spec.limits.max_length for spec in specs] == [32, 32, 32]
    assert [spec.on_bad_row for spec in specs] == ["skip", "skip", "error"]
    tasks = load_data(data)
    assert [(len(t.train), len(t.validation)) for t in tasks] == [
        (4, 2),
        (4, 2),
        (9, 10),
    ]
    assert data.tasks[0].limits.max_length is None


def test_the_share_of_the_section_leaves_tasks_with_a_validation_file_alone(
    tmp_path, write, make_rows
):
    write(tmp_path / "all" / "a" / "train.jsonl", make_rows(10))
    write(tmp_path / "all" / "a" / "validation.jsonl", make_rows(3, start=10))
    write(tmp_path / "all" / "b" / "train.jsonl", make_rows(10))
    data = DataSpec(root=str(tmp_path), folders=[{"path": "all"}], validation_share=0.2)
    tasks = load_data(data)
    assert [(len(t.train), len(t.validation)) for t in tasks] == [(10, 3), (8, 2)]


def test_names_may_not_repeat_between_folders_and_tasks(tmp_path, write, make_rows):
    write(tmp_path / "all" / "a" / "train.jsonl", make_rows(2))
    task = {"name": "a", "source": "all/a", "kind": "choice"}
    data = {"root": str(tmp_path), "folders": ["all"], "tasks": [task]}
    with pytest.raises(ConfigError, match="must have its own name, got a"):
        list_tasks(DataSpec.model_validate(data))
    with pytest.raises(ValidationError, match="must have its own name, got a"):
        DataSpec.model_validate({"tasks": [task, task]})
    with pytest.raises(ValidationError, match="at least one task, got none"):
        DataSpec()


def test_the_section_survives_being_written_and_read():
    data = DataSpec.model_validate({"folders": ["x"], "mixture": {"name": "uniform"}})
    assert DataSpec.model_validate(json.loads(data.model_dump_json())) == data


@pytest.mark.slow
def test_importing_the_room_loads_no_heavy_package():
    from helpers import run_python

    code = (
        "import cotune.data, json, sys; "
        "heavy = ['transformers', 'datasets', 'pyarrow', 'rouge_score', 'accelerate']; "
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    assert run_python(code) == []
