import pytest

from cotune._errors import ConfigError
from cotune.data import FolderSpec, discover, load_tasks


@pytest.fixture
def tree(tmp_path, write, make_rows):
    """Return a folder with tasks of three kinds, two levels deep, and other things."""
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    write(tmp_path / "data" / "nli" / "01" / "train.jsonl.gz", make_rows(3))
    write(tmp_path / "data" / "nli" / "01" / "test.jsonl.gz", make_rows(2, start=3))
    write(tmp_path / "data" / "nli" / "02.x" / "train.jsonl", [{"messages": [*chat]}])
    free = {"prompt": "p", "options": None, "answer": "a"}
    write(tmp_path / "data" / "write" / "train.jsonl", [free])
    write(tmp_path / "data" / ".hidden" / "train.jsonl", make_rows(2))
    (tmp_path / "data" / "notes").mkdir()
    return tmp_path


def test_tasks_are_found_named_and_their_kind_told(tree):
    found = discover("data", tree)
    assert [(task.name, task.kind) for task in found] == [
        ("nli-01", "choice"),
        ("nli-02_x", "chat"),
        ("write", "text"),
    ]
    assert found[0].source.path == "data/nli/01"
    tasks = load_tasks(found, tree)
    assert [len(task.train) for task in tasks] == [3, 1, 1]
    assert len(tasks[0].test) == 2


def test_the_folder_itself_can_be_the_task(tree):
    assert [task.name for task in discover("data/nli/01", tree)] == ["01"]


def test_a_folder_outside_the_root_is_found(tree, tmp_path):
    found = discover(tree / "data" / "nli", tmp_path / "elsewhere")
    assert len(load_tasks(found, tmp_path / "elsewhere")) == 2


def test_patterns_choose_by_name(tree):
    def names(**patterns):
        return [t.name for t in discover(FolderSpec(path="data", **patterns), tree)]

    assert names(include=["nli-*"]) == ["nli-01", "nli-02_x"]
    assert names(exclude=["*-01", "write"]) == ["nli-02_x"]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("dat", "must be a folder with tasks, got .*dat, which is none"),
        ("data/notes", "must hold a task .* got no task at all"),
        ({"path": "data", "include": ["nothing"]}, "got nli-01, nli-02_x, write"),
        ({"path": "data", "definitions": True}, "definitions need index.json"),
    ],
)
def test_a_folder_without_tasks_is_refused(tree, folder, message):
    spec = FolderSpec.model_validate(folder)
    with pytest.raises(ConfigError, match=message):
        discover(spec, tree)


def test_a_first_row_that_cannot_be_read_is_reported(tree, write):
    write(tree / "data" / "odd" / "train.jsonl", ["{"])
    with pytest.raises(ConfigError, match=r"first training row .*train.jsonl:1"):
        discover("data", tree)
    write(tree / "data" / "odd" / "train.jsonl", [])
    with pytest.raises(ConfigError, match=r"train.jsonl: no rows"):
        discover("data", tree)


def test_folders_whose_names_fall_together_are_refused(tree, write, make_rows):
    write(tree / "data" / "nli-01" / "train.jsonl", make_rows(2))
    with pytest.raises(ConfigError, match="got nli-01 more than once"):
        discover("data", tree)


def test_definitions_go_before_the_prompt(tree, write):
    index = '{"nli/01": {"definition": "Say {yes}."}}'
    write(tree / "data" / "index.json", [index])
    spec = FolderSpec(path="data/nli", include=["01"], definitions=True)
    (task,) = load_tasks(discover(spec, tree), tree)
    assert task.train[0]["prompt"] == "Say {yes}.\n\nquestion 0"
    with pytest.raises(ConfigError, match=r"must hold \{'nli/02.x'"):
        discover(FolderSpec(path="data/nli", definitions=True), tree)
