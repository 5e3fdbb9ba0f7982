from datasets import Features, List, Value

from cotune.data._table import PIECE, build_dataset, each_row

FEATURES = Features({"text": Value("string"), "options": List(Value("string"))})


def test_rows_come_back_in_order_across_pieces():
    number = 2 * PIECE + 1
    made = ({"text": str(i), "options": None, "more": i} for i in range(number))
    data = build_dataset(made, FEATURES)
    assert data["text"][:] == [str(i) for i in range(number)]
    assert data.features == FEATURES
    assert next(each_row(data)) == {"text": "0", "options": None}


def test_no_rows_still_have_columns():
    data = build_dataset([], FEATURES)
    assert len(data) == 0
    assert data.features == FEATURES
