import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cotune._errors import ConfigError
from cotune.data import TemplateSpec, fill_template
from cotune.data._template import render_chat, template_fields

TEXT = st.text(
    st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20
).filter(str.strip)


@given(field=TEXT)
def test_what_a_field_holds_is_put_in_untouched(field):
    assert fill_template("<{x}>", {"x": field}) == f"<{field}>"


@given(text=TEXT)
def test_doubled_braces_write_any_text(text):
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert fill_template(escaped + "{x}", {"x": 1}) == text + "1"


def test_fields_are_found_in_order():
    assert template_fields("{b} {{c}} {a b} {b}") == ["b", "a b", "b"]


@pytest.mark.parametrize("name", ["x.__class__", "x[0]", "x!r", "x:>9"])
def test_a_template_runs_no_code(name):
    with pytest.raises(ConfigError, match="Unknown field"):
        fill_template("{" + name + "}", {"x": "text"})


@pytest.mark.parametrize("template", ["{", "}", "a {b", "a} {b}", "{}", "{a{b}}"])
def test_a_lone_brace_is_refused_with_its_place(template):
    with pytest.raises(ConfigError, match=r"every brace must belong to a \{field\}"):
        template_fields(template)
    with pytest.raises(ValidationError, match="every brace"):
        TemplateSpec(prompt=template)


def test_a_template_without_a_field_is_refused():
    with pytest.raises(ValidationError, match="must name a field of the row"):
        TemplateSpec(prompt="always the same")


def test_a_missing_or_empty_field_is_refused():
    with pytest.raises(ConfigError, match="Did you mean premise"):
        fill_template("{premis}", {"premise": "x"})
    with pytest.raises(ConfigError, match="field 'x' must be text or a number"):
        fill_template("{x}", {"x": None})


MESSAGES = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "hello"},
]


def test_a_chat_is_cut_before_the_last_answer(tokenizer, chatml):
    prompt, answer = render_chat(tokenizer("gpt", chatml), MESSAGES)
    assert (prompt, answer) == ("<user>hi<end><assistant>", "hello<end>")


def test_a_tokenizer_without_a_template_is_refused(tokenizer):
    with pytest.raises(ConfigError, match="must have a chat template, got none"):
        render_chat(tokenizer(), MESSAGES)


def test_a_template_that_refuses_the_messages_is_reported(tokenizer):
    refusing = "{{ raise_exception('no system message') }}"
    with pytest.raises(ConfigError, match="no system message"):
        render_chat(tokenizer("gpt", refusing), MESSAGES)


def test_a_template_that_rewrites_the_prompt_is_refused(tokenizer):
    rewriting = (
        "{{ messages | length }}{% for m in messages %}{{m.content}}{% endfor %}"
    )
    with pytest.raises(ConfigError, match="rewrites the prompt"):
        render_chat(tokenizer("gpt", rewriting), MESSAGES)
