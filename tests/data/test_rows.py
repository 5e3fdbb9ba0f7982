import math

import pytest

from cotune.data import RawRow, RowFault, TaskSpec
from cotune.data._rows import check_rows

GOOD = {"prompt": "p", "options": ["no", "yes"], "answer": "yes"}
CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}]


def check(values, kind="choice", labels=None, **settings):
    task = TaskSpec(name="t", source="x", kind=kind, **settings)
    (row,) = check_rows([RawRow("f:3", values)], task, labels)
    return row


def test_rows_of_every_kind_get_one_form():
    where = {"where": "f:3"}
    assert check(GOOD) == {**GOOD, **where}
    plain = {"prompt": "p", "answer": "yes"}
    assert check(plain, "text") == {**plain, "options": None, **where}
    assert check(plain, "label") == {**plain, "options": None, **where}
    labelled = check(plain, "label", ["no", "yes"])
    assert labelled == {**plain, "options": ["no", "yes"], **where}
    chat = check({"messages": CHAT}, "chat")
    assert chat == {"messages": CHAT, "answer": "yo", **where}


def test_fields_have_other_names_where_the_recipe_says_so():
    row = {"question": "q", "a": "x", "b": "y", "gold": "y"}
    fields = {"prompt": "question", "options": ["a", "b"], "answer": "gold"}
    found = check(row, fields=fields)
    assert (found["prompt"], found["options"], found["answer"]) == (
        "q",
        ["x", "y"],
        "y",
    )


def test_templates_join_fields():
    row = {"s1": "One.", "s2": "Two.", "n": 3}
    template = {"prompt": "{s1} {s2}", "answer": "{n}!"}
    found = check(row, "text", template=template)
    assert (found["prompt"], found["answer"]) == ("One. Two.", "3!")


@pytest.mark.parametrize("index", [1, "1", " 1 "])
def test_an_answer_can_be_an_index(index):
    row = {**GOOD, "answer": index}
    assert check(row, fields={"answer_is": "index"})["answer"] == "yes"


@pytest.mark.parametrize("index", [2, -1, "yes", None, True, 1.0, "", math.nan])
def test_an_index_that_points_nowhere_is_a_fault(index):
    fault = check({**GOOD, "answer": index}, fields={"answer_is": "index"})
    assert isinstance(fault, RowFault)
    assert "must be an index from 0 to 1" in fault.problem


def test_numbers_and_truth_values_are_read_as_text():
    row = {"prompt": 7, "options": [True, False, 3], "answer": 3}
    found = check(row)
    assert found["prompt"] == "7"
    assert found["options"] == ["true", "false", "3"]
    assert found["answer"] == "3"


def test_lists_in_a_text_cell_are_json():
    assert check({**GOOD, "options": '["no", "yes"]'})["options"] == ["no", "yes"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"prompt": None}, "field 'prompt' must be text or a number, got None."),
        ({"prompt": " "}, "field 'prompt' must not be empty, got ' '."),
        ({"prompt": math.nan}, "field 'prompt' must be text or a number, got nan."),
        ({"answer": ""}, "field 'answer' must not be empty, got ''."),
        ({"answer": "Yes"}, "Unknown answer 'Yes'. Did you mean yes? Known: no, yes."),
        ({"answer": 1}, "Is it an index? Then set fields.answer_is."),
        ({"options": None}, "field 'options' must be a list (in CSV a JSON list), got"),
        ({"options": "no, yes"}, "must be a list (in CSV a JSON list), got 'no, yes'."),
        ({"options": ["yes"]}, "must hold at least two options, got ['yes']."),
        ({"options": []}, "must hold at least two options, got []."),
        ({"options": ["yes", "yes "]}, "must hold different options, got 'yes ' twice"),
        ({"options": ["yes", None]}, "field 'options', option 2 must be text"),
        ({"options": ["yes", math.nan]}, "option 2 must be text or a number, got nan"),
    ],
)
def test_a_bad_value_is_a_fault_with_its_place(change, problem):
    fault = check({**GOOD, **change})
    assert isinstance(fault, RowFault)
    assert fault.where == "f:3"
    assert problem in fault.problem


@pytest.mark.parametrize("field", GOOD)
def test_a_missing_field_is_a_fault(field):
    row = {name: value for name, value in GOOD.items() if name != field}
    fault = check({**row, field + "x": 1})
    assert isinstance(fault, RowFault)
    assert f"Unknown field {field!r}. Did you mean {field}x" in fault.problem


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ("hi", "must be a list"),
        ([], "got roles none"),
        (CHAT[:1], "got roles user"),
        (CHAT[1:], "got roles assistant"),
        ([*CHAT, CHAT[0]], "end with the assistant's"),
        (["hi", CHAT[1]], "message 1 must be {role, content}, got 'hi'"),
        ([{"role": "bot", "content": "x"}], "Unknown role 'bot'"),
        ([{"role": "user"}], "Unknown field 'content'"),
        ([CHAT[0], {"role": "assistant", "content": ""}], "the content of message 2"),
    ],
)
def test_a_bad_chat_is_a_fault(messages, problem):
    fault = check({"messages": messages}, "chat")
    assert isinstance(fault, RowFault)
    assert problem in fault.problem


def test_a_chat_in_a_csv_cell_is_json():
    import json

    assert check({"messages": json.dumps(CHAT)}, "chat")["messages"] == CHAT


def test_faults_of_the_reader_go_through():
    task = TaskSpec(name="t", source="x", kind="text")
    fault = RowFault("f:1", "broken")
    assert list(check_rows([fault], task, None)) == [fault]


def test_rows_are_not_changed():
    values = {**GOOD, "options": list(GOOD["options"])}
    found = check(values)
    found["options"].append("more")
    assert values == GOOD
