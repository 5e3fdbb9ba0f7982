import pytest

from cotune._errors import ConfigError
from cotune.data import EncodeSpec, Tokens, get_pad_id

ROW = {"prompt": "Hello?", "options": ["no", "yes"], "answer": "yes", "where": "f:1"}


def tokens(tokenizer, style="llama", chat_template=None, **settings):
    made = tokenizer(style, chat_template)
    return Tokens(made, EncodeSpec(**settings)), made


@pytest.mark.parametrize(
    ("style", "ends"),
    [("gpt", ([], [])), ("llama", ([0], [])), ("bert", ([0], [1]))],
)
def test_special_tokens_around_a_text_are_found(tokenizer, style, ends):
    assert tokens(tokenizer, style)[0].ends == ends


def test_special_tokens_inside_a_text_are_refused(tokenizer):
    made, core = tokens(tokenizer)
    plain = core("a", add_special_tokens=False)["input_ids"]
    made.plain = lambda text: [*plain, *plain]
    with pytest.raises(ConfigError, match="special tokens must stand before or after"):
        made.ends  # noqa: B018 - a property


@pytest.mark.parametrize("style", ["gpt", "llama", "bert"])
def test_prompt_and_answer_read_as_one_text(tokenizer, style):
    made, core = tokens(tokenizer, style, separator=" -> ")
    prompt, answer = made.prompt_and_answer(ROW)
    assert core.decode(prompt, skip_special_tokens=True) == "Hello? -> "
    assert core.decode(answer, skip_special_tokens=True) == "yes"
    assert prompt == made.prompt(ROW)
    assert answer[-1] == core.eos_token_id
    starts = [] if style == "gpt" else [core.bos_token_id]
    assert prompt[: len(starts)] == starts
    assert core.eos_token_id not in prompt


def test_single_prompts_go_into_a_chat_if_the_recipe_says_so(tokenizer, chatml):
    made, core = tokens(tokenizer, "llama", chatml, chat=True)
    prompt, answer = made.prompt_and_answer(ROW)
    # The template writes all special tokens itself: none are added.
    assert core.decode(prompt) == "<user>Hello?<end><assistant>"
    assert core.decode(answer) == "yes<end>"
    assert made.prompt(ROW) == prompt


def test_chats_always_use_the_template(tokenizer, chatml):
    made, core = tokens(tokenizer, "gpt", chatml)
    turns = [("system", "S"), ("user", "a"), ("assistant", "b"), ("user", "c")]
    messages = [{"role": r, "content": c} for r, c in [*turns, ("assistant", "d")]]
    prompt, answer = made.prompt_and_answer({"messages": messages, "answer": "d"})
    assert core.decode(answer) == "d<end>"
    assert core.decode(prompt).endswith("<assistant>b<end><user>c<end><assistant>")


def test_a_tokenizer_without_an_end_of_text_is_refused(tokenizer):
    made = Tokens(tokenizer("gpt", eos=None), EncodeSpec())
    with pytest.raises(ConfigError, match="must have an end-of-text token"):
        made.prompt_and_answer(ROW)


def test_only_the_start_of_the_prompt_is_cut(tokenizer):
    made, _ = tokens(tokenizer)
    prompt, answer = [0, 10, 11, 12, 13], [20, 21]
    assert made.join(prompt, answer, 7) == ([0, 10, 11, 12, 13, 20, 21], 5)
    assert made.join(prompt, answer, 5) == ([0, 12, 13, 20, 21], 3)
    assert made.join(prompt, answer, 3) == ([13, 20, 21], 1)
    assert made.join(prompt[1:], answer, 4) == ([12, 13, 20, 21], 2)
    assert (prompt, answer) == ([0, 10, 11, 12, 13], [20, 21])
    with pytest.raises(ConfigError, match="beside the 2 of the answer, got 2"):
        made.join(prompt, answer, 2)


def test_a_text_for_an_encoder_keeps_its_end_and_its_special_tokens(tokenizer):
    made, core = tokens(tokenizer, "bert")
    assert made.text("abc", 5) == core("abc")["input_ids"]
    assert made.text("abc", 4) == core("bc")["input_ids"]
    with pytest.raises(ConfigError, match=r"beside the 1 \+ 1 special ones, got 2"):
        made.text("abc", 2)


def test_an_option_without_tokens_is_refused(tokenizer):
    made, _ = tokens(tokenizer)
    made.plain = lambda text: []
    with pytest.raises(ConfigError, match="every option must have a token, got none"):
        made.option("odd")


def test_an_option_is_a_new_list_each_time(tokenizer):
    made, _ = tokens(tokenizer)
    made.option("yes").append(-1)
    assert made.option("yes") == made.plain("yes")


def test_padding_is_the_tokenizers_own_or_its_end_of_text(tokenizer):
    made = tokenizer()
    assert get_pad_id(made) == made.eos_token_id == 1
    assert get_pad_id(tokenizer(eos=None)) == 0
    made.pad_token = "a"
    assert get_pad_id(made) == made.convert_tokens_to_ids("a")
