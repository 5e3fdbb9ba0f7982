import gzip
import json

import pytest

from cotune._errors import ConfigError
from cotune.data import READERS, RowFault
from cotune.data._readers import get_extension, read_file

ROWS = [{"prompt": 'a,\n"b"', "answer": "ü"}, {"prompt": "c", "answer": "d"}]


def write_jsonl(path):
    path.write_bytes("".join(json.dumps(row) + "\n" for row in ROWS).encode())


def write_jsonl_gz(path):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def write_csv(path):
    path.write_text('prompt,answer\n"a,\n""b""",ü\nc,d\n', encoding="utf-8")


def write_parquet(path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)


WRITERS = {
    ".jsonl": write_jsonl,
    ".jsonl.gz": write_jsonl_gz,
    ".csv": write_csv,
    ".parquet": write_parquet,
}


@pytest.mark.parametrize("extension", READERS)
def test_every_reader_gives_the_rows_and_where_they_are(tmp_path, extension):
    path = tmp_path / f"train{extension}"
    WRITERS[extension](path)
    rows = list(read_file(path))
    assert [row.values for row in rows] == ROWS
    lines = [2, 4] if extension == ".csv" else [1, 2]
    assert [row.where for row in rows] == [f"{path}:{line}" for line in lines]


@pytest.mark.parametrize("extension", READERS)
def test_every_reader_reports_a_missing_file(tmp_path, extension):
    with pytest.raises(ConfigError, match=r"must be readable, got .*No such file"):
        list(read_file(tmp_path / f"train{extension}"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.jsnl", "Unknown extension of a data file '.jsnl'. Did you mean .jsonl"),
        ("a.parqet", "Did you mean .parquet"),
        ("a.csv.gz", "'.csv.gz'"),
        ("a", "''"),
    ],
)
def test_an_unknown_extension_shows_the_nearest(tmp_path, name, message):
    with pytest.raises(ConfigError, match=message):
        get_extension(tmp_path / name)


def test_bad_lines_are_reported_one_by_one(tmp_path):
    path = tmp_path / "train.jsonl"
    deep = "[" * 100_000
    lines = [b"\xef\xbb\xbf{}", b"", b"{'a': 1}", b"[1]", b"\xff", deep.encode(), b"{}"]
    path.write_bytes(b"\n".join(lines))
    found = list(read_file(path))
    faults = [item for item in found if isinstance(item, RowFault)]
    assert len(found) - len(faults) == 2
    assert [fault.where for fault in faults] == [f"{path}:{n}" for n in (3, 4, 5, 6)]
    problems = [fault.problem for fault in faults]
    assert problems[0].startswith("the line must be one JSON object, got Expecting")
    assert problems[1] == "the line must be a JSON object, got [1]."
    assert "utf-8" in problems[2]
    assert "recursion" in problems[3]


def test_a_broken_gzip_file_is_reported(tmp_path):
    path = tmp_path / "train.jsonl.gz"
    path.write_text("not gzip")
    with pytest.raises(ConfigError, match="must be readable, got Not a gzipped file"):
        list(read_file(path))
    write_jsonl_gz(path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ConfigError, match="must be readable"):
        list(read_file(path))


def test_a_broken_parquet_file_is_reported(tmp_path):
    path = tmp_path / "train.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ConfigError, match="the file must be parquet"):
        list(read_file(path))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a,b\n1,2\n3\n", 3, "must have 2 cells as the header has, got 1"),
        ("a,b\n1,2,3\n", 2, "must have 2 cells as the header has, got 3"),
    ],
)
def test_csv_rows_of_another_width_are_bad_rows(tmp_path, text, line, problem):
    path = tmp_path / "train.csv"
    path.write_text(text)
    fault = list(read_file(path))[-1]
    assert fault.where == f"{path}:{line}"
    assert problem in fault.problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"a,a\n1,2\n", r":1: every column must have its own name, got 'a' twice"),
        (b'a,b\n1,2\n"3,4\n', "unexpected end of data"),
        (b"a,b\n\xff,1\n", "utf-8"),
    ],
)
def test_csv_files_that_cannot_be_cut_into_rows_are_refused(tmp_path, data, problem):
    path = tmp_path / "train.csv"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=problem):
        list(read_file(path))


def test_files_are_read_lazily(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n" * 3)
    rows = read_file(path)
    assert next(rows).where == f"{path}:1"
    rows.close()
