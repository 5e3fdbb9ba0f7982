import pytest
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.data import SourceSpec
from cotune.data._source import open_source


def names(source, root=None):
    return {name: part.where for name, part in open_source(source, root).items()}


def test_a_folder_holds_its_parts(tmp_path, write, make_rows):
    for name in ("train.jsonl", "validation.jsonl", "test.jsonl.gz"):
        write(tmp_path / "a" / name, make_rows(2))
    found = open_source(SourceSpec(path="a"), tmp_path)
    assert list(found) == ["train", "validation", "test"]
    assert found["test"].where == f"{tmp_path}/a/test.jsonl.gz"
    assert [row.values for row in found["test"].rows()] == make_rows(2)


def test_parts_can_be_named_or_left_out(tmp_path, write, make_rows):
    for name in ("train.jsonl", "test.jsonl", "more.csv"):
        write(tmp_path / "a" / name, make_rows(2))
    assert set(names(SourceSpec(path="a", without=["test"]), tmp_path)) == {"train"}
    found = names(SourceSpec(path="a", validation="more.csv"), tmp_path)
    assert found["validation"].endswith("/a/more.csv")
    single = names(SourceSpec(path="a/more.csv", test="a/test.jsonl"), tmp_path)
    assert single["train"].endswith("more.csv")
    assert single["test"].endswith("a/test.jsonl")
    files = names(SourceSpec(train="a/train.jsonl"), tmp_path)
    assert set(files) == {"train"}


def test_an_absolute_path_ignores_the_root(tmp_path, write, make_rows):
    write(tmp_path / "train.jsonl", make_rows(2))
    assert names(SourceSpec(path=str(tmp_path)), tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"path": "flan"}, "source.path: must exist, .* Did you mean flan8"),
        ({"path": "no/where"}, "does not exist either. Check data.root"),
        ({"train": "flan8/tran.jsonl"}, "source.train: .* Did you mean train.jsonl"),
        ({"path": "flan8", "test": "tst.jsonl"}, "source.test: must exist"),
        ({"path": "empty"}, "must hold a file train.*, got nothing"),
        ({"path": "other"}, "must hold a file train.*, got notes.txt"),
        ({"path": "flan8"}, "Unknown extension of a data file '.tsv'"),
        ({"path": "two"}, "must hold one file train.*, got train.csv and train.jsonl"),
        ({"path": "two/train.csv", "train": "x"}, "path must be a folder"),
    ],
)
def test_what_cannot_be_found_is_said(tmp_path, write, make_rows, source, message):
    for name in ("flan8/train.jsonl", "two/train.csv", "two/train.jsonl"):
        write(tmp_path / name, make_rows(1))
    (tmp_path / "flan8" / "test.tsv").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    with pytest.raises(ConfigError, match=message):
        open_source(SourceSpec(**source), tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "must say where the rows lie"),
        ({"path": "a", "hub": "b"}, "either path or hub"),
        ({"path": "a", "subset": "b"}, "need hub"),
        ({"path": "a", "tests": "b"}, "Extra inputs"),
        ({"path": "a", "test": "b", "without": ["test"]}, "also listed in without"),
        ({"path": "a", "without": ["train"]}, "Input should be 'validation' or 'test'"),
    ],
)
def test_contradictions_are_refused(source, message):
    with pytest.raises(ValidationError, match=message):
        SourceSpec.model_validate(source)


def test_a_source_that_is_written_and_read_finds_the_same(tmp_path, write, make_rows):
    for name in ("train.jsonl", "test.jsonl"):
        write(tmp_path / "a" / name, make_rows(1))
    source = SourceSpec(path="a")
    again = SourceSpec.model_validate(source.model_dump(mode="json"))
    assert names(again, tmp_path) == names(source, tmp_path)
    assert len(names(again, tmp_path)) == 2


def test_a_plain_text_is_a_path():
    assert SourceSpec.model_validate("a/b") == SourceSpec(path="a/b")


@pytest.fixture
def hub(tmp_path, write, make_rows, monkeypatch):
    """Return a local data set that load_dataset reads, with its cache put aside."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield lambda: tmp_path / "hub"
    datasets.enable_progress_bars()


def test_a_hub_data_set_is_read_by_split(hub, write, make_rows):
    write(hub() / "train.jsonl", make_rows(6))
    write(hub() / "test.jsonl", make_rows(2))
    found = open_source(SourceSpec(hub=str(hub()), train="train[:3]"))
    assert set(found) == {"train", "test"}
    rows = list(found["train"].rows())
    assert [row.values for row in rows] == make_rows(3)
    assert rows[2].where == f"{hub()}/train[:3]:3"


def test_a_hub_data_set_without_test_rows_must_be_told_so(hub, write, make_rows):
    write(hub() / "train.jsonl", make_rows(2))
    with pytest.raises(ConfigError, match=r'source.test: .* Unknown split "test"'):
        open_source(SourceSpec(hub=str(hub())))
    source = SourceSpec(hub=str(hub()), without=["test"])
    assert set(open_source(source)) == {"train"}


def test_a_hub_data_set_that_cannot_be_loaded_is_reported(tmp_path):
    with pytest.raises(ConfigError, match=r"datasets.load_dataset must find .*nothing"):
        open_source(SourceSpec(hub=str(tmp_path / "nothing")))


def test_a_hub_data_set_tells_its_label_names(hub, tmp_path):
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features(
        {"text": Value("string"), "label": ClassLabel(names=["n", "p"])}
    )
    rows = Dataset.from_dict({"text": ["a"], "label": [1]}, features=features)
    hub().mkdir()
    rows.to_parquet(str(hub() / "train.parquet"))
    part = open_source(SourceSpec(hub=str(hub()), without=["test"]))["train"]
    assert part.labels == {"label": ["n", "p"]}
