from cotune.cli._show import show


def test_texts_are_printed_as_they_are(capsys) -> None:
    text = "a path/[red]x[/red] :smile: " + "long " * 60
    show(text, "second")
    assert capsys.readouterr().out == f"{text}\nsecond\n"


def test_only_the_first_process_prints(capsys, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    show("nothing")
    assert capsys.readouterr().out == ""
