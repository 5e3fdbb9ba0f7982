"""Mistakes of users, each with the message that it must give and nothing else.

A case writes what is wrong into a folder of its own and returns the words of a command.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recipes.small_world import (
    call,
    make_rows,
    recipe_values,
    run,
    write_base,
    write_recipe,
    write_rows,
    write_world,
)

Make = Callable[["Place"], list[str | Path]]


@dataclass(frozen=True)
class Place:
    """Where a case writes, and what it can use without changing it.

    Args:
        here: An empty folder.
        world: A base, data and a recipe.
        trained: A finished run of CoLoRA on the tasks left and right.
        routed: A finished run of ALoRA.
    """

    here: Path
    world: Path
    trained: Path
    routed: Path

    def recipe(self, **sections: Any) -> Path:
        """Write the recipe with other sections; None leaves a section out."""
        values = recipe_values(self.world) | {"output_dir": str(self.here / "run")}
        for name, section in sections.items():
            old = values.get(name)
            both = isinstance(old, dict) and isinstance(section, dict)
            values[name] = old | section if both else section
        kept = {name: value for name, value in values.items() if value is not None}
        return write_recipe(self.here / "recipe.yaml", kept)

    def text(self, text: str) -> Path:
        """Write a recipe as it is."""
        path = self.here / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def rows(self, rows: list[Any], **task: Any) -> Path:
        """Write the training rows of one task, and a recipe with that task only."""
        write_rows(self.here / "one" / "train.jsonl", rows)
        return self.task(**{"source": "one", **task})

    def task(self, **task: Any) -> Path:
        """Write a recipe with one task, named one, whose files are in this folder."""
        own = {"name": "one", "kind": "choice", **task}
        data = {"root": str(self.here), "folders": [], "tasks": [own]}
        return self.recipe(data={**data, "validation_share": 0.0})

    def run(self, which: str = "trained") -> Path:
        """Copy a finished run, to be spoilt."""
        copy = self.here / "spoilt"
        shutil.copytree(getattr(self, which), copy)
        return copy

    def adapter(self) -> Path:
        """Copy the adapter of a finished run, to be spoilt."""
        return self.run() / "adapter"

    def config(self, **changes: Any) -> Path:
        """Copy an adapter and change its config."""
        adapter = self.adapter()
        path = adapter / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))
        return adapter

    def tensors(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
        """Copy an adapter and change its tensors."""
        from safetensors.torch import load_file, save_file

        adapter = self.adapter()
        path = adapter / "adapter_model.safetensors"
        save_file(change(load_file(path)), path)
        return adapter


CASES: dict[str, tuple[Make, tuple[str, ...]]] = {}
"""Name -> what makes the mistake, and what the message must say."""


def case(*says: str) -> Callable[[Make], Make]:
    """Add a case to the table; its name is that of the function."""

    def add(make: Make) -> Make:
        assert make.__name__ not in CASES
        CASES[make.__name__] = make, says
        return make

    return add


# -- recipes: the file -----------------------------------------------------------


@case("must be a file, a run folder or a shipped recipe", "Did you mean cola or")
def a_recipe_that_is_not_there(place):
    return ["check", "colla"]


@case("recipe.yaml: must be valid YAML", "line 2, column 1", "Mend the line")
def yaml_that_does_not_parse(place):
    return ["check", place.text("base: {name: [\n")]


@case("line 3: every key must be there once, got 'adapter' twice. Delete one.")
def a_key_that_comes_twice(place):
    return [
        "check",
        place.text("data: {tasks: []}\nadapter: {r: 2}\nadapter: {r: 4}\n"),
    ]


@case("recipe.yaml: must hold keys and values, got list. Start with the sections")
def a_list_in_place_of_a_recipe(place):
    return ["check", place.text("- base\n- data\n")]


@case("recipe.yaml: must hold keys and values, got nothing")
def an_empty_recipe(place):
    return ["check", place.text("")]


@case("recipe.yaml: must be UTF-8 text")
def a_recipe_that_is_no_text(place):
    (place.here / "recipe.yaml").write_bytes(b"\xff\xfe\x00base")
    return ["check", place.here / "recipe.yaml"]


@case("data: must be given, got nothing.")
def a_recipe_without_data(place):
    return ["check", place.recipe(data=None)]


# -- recipes: keys and values ----------------------------------------------------


@case("adapter.lora_alfa: Unknown key 'lora_alfa'. Did you mean lora_alpha?", "Known:")
def an_unknown_key(place):
    return ["check", place.recipe(adapter={"lora_alfa": 4})]


@case("trainig: Unknown key 'trainig'. Did you mean training?")
def an_unknown_section(place):
    return ["check", place.recipe(trainig={})]


@case("data.tasks.0.source.hubb: Unknown key 'hubb'. Did you mean hub?")
def an_unknown_key_deep_in_a_list(place):
    return ["check", place.task(source={"hubb": "x"})]


@case(
    "3 faults", "adapter.r: must be", "training.max_steps: must be", "data.encode.max"
)
def three_faults_at_once(place):
    return [
        "check",
        place.recipe(
            adapter={"r": "many"},
            training={"max_steps": -5},
            data={"encode": {"max_length": 0}},
        ),
    ]


@case("adapter.r: must be a whole number >= 1, got 0.")
def rank_zero(place):
    return ["check", place.recipe(adapter={"r": 0})]


@case("adapter.lora_dropout: must be in [0, 1), got 1.5.")
def dropout_above_one(place):
    return ["check", place.recipe(adapter={"lora_dropout": 1.5})]


@case("2 faults", "adapter.r: must be", "adapter.coupling: Unknown coupling")
def two_faults_of_the_adapter_at_once(place):
    return ["check", place.recipe(adapter={"r": 0, "coupling": "fulll"})]


@case("adapter.method: Unknown method 'collora'. Did you mean colora", "hydralora")
def an_unknown_method(place):
    return ["check", place.recipe(adapter={"method": "collora"})]


@case("adapter.coupling: Unknown coupling 'ful'. Did you mean full?", "heuristic-paper")
def an_unknown_coupling(place):
    return ["check", place.recipe(adapter={"coupling": "ful"})]


@case("adapter.core: Unknown core 'diagonal'", "none, full, diag, scalar")
def an_unknown_core(place):
    return ["check", place.recipe(adapter={"core": "diagonal"})]


@case("adapter.start: Unknown start 'pisa'. Did you mean pissa?")
def an_unknown_start(place):
    return ["check", place.recipe(adapter={"start": "pisa"})]


@case("heuristic-paper", "needs num_A <= num_B", "num_A=4", "num_B=2")
def more_a_than_b_for_a_heuristic(place):
    sizes = {"method": "cola", "num_A": 4, "num_B": 2, "coupling": "heuristic-paper"}
    return ["check", place.recipe(adapter=sizes)]


@case("adapter.tasks: names must differ, got left more than once.")
def a_task_twice_in_the_adapter(place):
    return ["check", place.recipe(adapter={"tasks": ["left", "left", "right"]})]


@case("adapter.tasks: must hold every task of data.tasks, got none for one.", "Leave")
def a_task_that_the_adapter_lacks(place):
    task = {"name": "one", "source": "left", "kind": "choice"}
    data = {"folders": [], "tasks": [task]}
    return ["check", place.recipe(data=data, adapter={"tasks": ["two"]})]


@case("adapter.default_task: Unknown task 'lef'. Did you mean left?")
def an_unknown_default_task(place):
    tasks = {"tasks": ["left", "right"], "default_task": "lef"}
    return ["check", place.recipe(adapter=tasks)]


@case("data: there must be at least one task, got none.")
def no_tasks(place):
    return ["check", place.recipe(data={"folders": [], "tasks": []})]


@case("data: every task must have its own name, got one more than once. Rename")
def two_tasks_of_one_name(place):
    task = {"name": "one", "source": "left", "kind": "choice"}
    return ["check", place.recipe(data={"folders": [], "tasks": [task, task]})]


@case("data.tasks.0.name: ", "my task")
def a_task_name_that_no_file_can_have(place):
    return ["check", place.task(name="my task!", source="left")]


@case("training.learning_rate: must be a valid number", "got 'fast'.")
def a_text_in_place_of_a_number(place):
    return ["check", place.recipe(training={"learning_rate": "fast"})]


@case("training: max_steps must be -1 or at least 1, got 0.")
def no_steps(place):
    return ["check", place.recipe(training={"max_steps": 0})]


@case("training: bf16 and fp16 exclude each other; choose one.")
def two_half_precisions(place):
    return ["check", place.recipe(training={"bf16": True, "fp16": True})]


@case("Unknown lr_scheduler_type 'cosin'. Did you mean cosine")
def an_unknown_learning_rate_schedule(place):
    return ["check", place.recipe(training={"lr_scheduler_type": "cosin"})]


@case("training.arguments: Unknown argument 'adam_epsilo'. Did you mean adam_epsilon")
def an_unknown_training_argument(place):
    return ["train", place.recipe(training={"arguments": {"adam_epsilo": 1e-8}})]


@case("base.kind: Unknown kind of base model 'casual'. Did you mean causal?")
def an_unknown_kind_of_base(place):
    return ["check", place.recipe(base={"kind": "casual"})]


@case("schedule: Unknown schedule 'cotoo'. Did you mean coto?")
def an_unknown_schedule(place):
    return ["check", place.recipe(schedule={"name": "cotoo"})]


@case("schedule", "resample", "p0")
def a_schedule_that_would_never_end(place):
    return ["check", place.recipe(schedule={"p0": 0.0, "empty": "resample"})]


@case("Unknown mixture 'unifrom'. Did you mean uniform?")
def an_unknown_mixture(place):
    return ["check", place.recipe(data={"mixture": {"name": "unifrom"}})]


@case("task 'one': the metric must fit kind choice, got rougeL.", "accuracy")
def a_metric_that_does_not_fit(place):
    return ["check", place.task(source="left", metric="rougeL")]


@case("adapter.target_modules: must be a regular expression, got '(('", "List the")
def a_pattern_of_layers_that_does_not_parse(place):
    return ["check", place.recipe(adapter={"target_modules": "(("})]


@case("2 faults", "adapter.exclude_modules: must be", "adapter.rank_pattern['*']: must")
def two_patterns_that_do_not_parse(place):
    patterns = {"exclude_modules": "[", "rank_pattern": {"*": 2}}
    return ["check", place.recipe(adapter=patterns)]


@case("training.seed: must be less than 4294967296, got")
def a_seed_that_is_too_large(place):
    return ["check", place.recipe(training={"seed": 2**70})]


@case("training.report_to: Unknown logger 'wandbb'. Did you mean wandb or")
def an_unknown_logger(place):
    return ["train", place.recipe(training={"report_to": "wandbb"})]


@case("training: must be what transformers' TrainingArguments takes, got: adamww is")
def an_unknown_optimizer(place):
    return ["train", place.recipe(training={"optim": "adamww"})]


@case("training.fsdp: needs several processes, got one. Start them with torchrun")
def a_model_to_shard_with_one_process(place):
    return ["train", place.recipe(training={"fsdp": True})]


@case("training.arguments.adam_epsilon: must be a number, got 'x'. Its default is")
def a_text_in_place_of_a_number_for_the_trainer(place):
    return ["train", place.recipe(training={"arguments": {"adam_epsilon": "x"}})]


@case("training.metric_for_best_model: Unknown score 'lef_accuracy'. Did you mean left")
def the_best_model_by_an_unknown_task(place):
    steps = {"eval_strategy": "epoch", "save_strategy": "epoch"}
    best = {"load_best_model_at_end": True, "metric_for_best_model": "lef_accuracy"}
    return ["train", place.recipe(training={**steps, **best})]


@case("output_dir: must have at least 1 character, got ''.")
def a_run_folder_without_a_name(place):
    return ["check", place.recipe(output_dir="")]


# -- overrides -------------------------------------------------------------------


@case("--set: must be section.key=value, got 'training.seed 3'.", "Write it like")
def a_change_without_a_value(place):
    return ["check", place.recipe(), "--set", "training.seed 3"]


@case("--set base.name.first=x: base.name must be a section or a list", "Shorten")
def a_change_below_a_text(place):
    return ["check", place.recipe(), "--set", "base.name.first=x"]


@case("data.folders must be given a place from 0 to 0, got '3'. Count from 0.")
def a_change_beyond_a_list(place):
    return ["check", place.recipe(), "--set", "data.folders.3=x"]


@case("--set training.seed=[1: must be valid YAML")
def a_change_that_is_no_yaml(place):
    return ["check", place.recipe(), "--set", "training.seed=[1"]


@case("training.sed: Unknown key 'sed'. Did you mean seed?")
def a_change_of_an_unknown_key(place):
    return ["check", place.recipe(), "--set", "training.sed=1"]


@case("--set base.name=2020-99-99: must be valid YAML, got: month must be in 1..12.")
def a_change_to_a_day_that_there_is_not(place):
    return ["check", place.recipe(), "--set", "base.name=2020-99-99"]


# -- data files ------------------------------------------------------------------


@case("folder: must be a folder with tasks, got", "Check the path and data.root.")
def a_data_folder_that_is_not_there(place):
    return ["check", place.recipe(data={"root": str(place.here / "nowhere")})]


@case("task 'one': source.path: must exist", "Did you mean left?")
def a_task_folder_that_is_not_there(place):
    data = {
        "folders": [],
        "tasks": [{"name": "one", "source": "lef", "kind": "choice"}],
    }
    return ["check", place.recipe(data=data)]


@case("task 'one'", "train.jsonl must hold at least one row, got none.")
def an_empty_data_file(place):
    return ["check", place.rows([])]


@case("train.jsonl:2: the line must be one JSON object, got", "on_bad_row: skip")
def a_broken_line(place):
    good = make_rows(2, part="x")
    return ["check", place.rows([good[0], '{"prompt": "a", ', good[1]])]


@case("train.jsonl:1: the line must be a JSON object, got [1, 2]")
def a_line_that_is_no_object(place):
    return ["check", place.rows(["[1, 2]"])]


@case("2 bad rows of 2", "Unknown field 'prompt'. Did you mean promt?")
def a_missing_column(place):
    row = {"promt": "a", "options": ["no", "yes"], "answer": "no"}
    return ["check", place.rows([row, row])]


@case("train.jsonl:1: the row must have every field", "Unknown field 'answer'")
def options_without_an_answer(place):
    return ["check", place.rows([{"prompt": "a", "options": ["no", "yes"]}])]


@case("the answer must be one of the options. Unknown answer 'ye'. Did you mean yes?")
def an_answer_that_is_no_option(place):
    row = {"prompt": "a", "options": ["no", "yes"], "answer": "ye"}
    return ["check", place.rows([row])]


@case("field 'options' must hold at least two options, got ['no'].")
def one_option_only(place):
    return ["check", place.rows([{"prompt": "a", "options": ["no"], "answer": "no"}])]


@case("train.jsonl:1: field 'prompt' must be text or a number, got nan.")
def a_number_that_is_nan(place):
    return [
        "check",
        place.rows(['{"prompt": NaN, "options": ["a", "b"], "answer": "a"}']),
    ]


@case("Unknown extension of a data file '.tsv'", ".csv")
def a_file_of_an_unknown_kind(place):
    (place.here / "one").mkdir()
    (place.here / "one" / "train.tsv").write_text("prompt\tanswer\n")
    return ["check", place.task(source="one")]


@case("train.jsonl.gz: the file must be readable", "Check the path, or make the file")
def a_broken_archive(place):
    (place.here / "one").mkdir()
    whole = gzip.compress(b'{"prompt": "a"}\n' * 100)
    (place.here / "one" / "train.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    return ["check", place.task(source="one")]


@case("train.csv:3: the row must have 2 cells as the header has, got 3.", "quotes")
def a_csv_row_with_a_cell_too_many(place):
    (place.here / "one").mkdir()
    (place.here / "one" / "train.csv").write_text("prompt,answer\na,b\na,b,c\n")
    return ["check", place.task(source="one", kind="text")]


@case("validation_share: at least one training row must be left, got share 0.9 of 1")
def nothing_left_to_train_on(place):
    return ["check", place.rows(make_rows(1, part="x"), validation_share=0.9)]


# -- base models -----------------------------------------------------------------


@case("adapter.target_modules: Unknown layer 'q_pro'. Did you mean q_proj", "down_proj")
def an_unknown_layer(place):
    return ["train", place.recipe(adapter={"target_modules": ["q_pro", "v_proj"]})]


@case("adapter.target_modules: Unknown layer 'q_pro'. Did you mean q_proj")
def an_unknown_layer_to_explain(place):
    return ["explain", place.recipe(adapter={"target_modules": ["q_pro", "v_proj"]})]


@case("adapter.target_modules: must fit the base model", "q_proj, k_proj, v_proj")
def a_pattern_of_layers_without_a_match(place):
    return ["explain", place.recipe(adapter={"target_modules": ".*attn_proj"})]


@case("start 'pissa': needs 20 singular directions (r=20", "got a layer of 16 x 16")
def a_rank_beyond_the_layer(place):
    return ["train", place.recipe(adapter={"method": "cola", "r": 20})]


@case("base.name: the", "must be there as transformers saves it", "Check the name")
def a_base_that_is_not_there(place):
    return ["train", place.recipe(base={"name": str(place.here / "nothing")})]


@case("base.name: the config of", "must be at hand", "Check the name")
def a_base_that_cannot_be_explained(place):
    return ["explain", place.recipe(base={"name": "nobody/no-such-model"})]


@case("base.name: the model of", "safetensors")
def a_base_without_weights(place):
    shutil.copytree(place.world / "base", place.here / "base")
    (place.here / "base" / "model.safetensors").unlink()
    return ["train", place.recipe(base={"name": str(place.here / "base")})]


@case("base.name: the model of", "safetensors")
def a_base_with_pickled_weights(place):
    import torch

    shutil.copytree(place.world / "base", place.here / "base")
    (place.here / "base" / "model.safetensors").unlink()
    torch.save({}, place.here / "base" / "pytorch_model.bin")
    return ["train", place.recipe(base={"name": str(place.here / "base")})]


@case("base.name: the model of", "safetensors, got: Error while deserializing header")
def a_base_with_a_truncated_file(place):
    shutil.copytree(place.world / "base", place.here / "base")
    path = place.here / "base" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:999])
    return ["train", place.recipe(base={"name": str(place.here / "base")})]


@case("base.name: the model of", "FlashAttention2", "installed. Check the name")
def an_attention_that_is_not_installed(place):
    return ["train", place.recipe(base={"attn_implementation": "flash_attention_2"})]


# -- runs ------------------------------------------------------------------------


@case("output_dir: must be new or empty", "which holds a run", "or resume the run")
def a_run_folder_in_use(place):
    return ["train", place.recipe(output_dir=str(place.run()))]


@case(
    "resume: the settings must be those of the run", "adapter.r (was 2, is 4)", "anew"
)
def a_run_resumed_with_another_rank(place):
    recipe = place.recipe(output_dir=str(place.run()), adapter={"r": 4})
    return ["train", recipe, "--resume"]


@case("training.learning_rate (was 0.01, is 0.02)", "training.seed (was 0, is 1)")
def a_run_resumed_with_other_settings(place):
    changed = {"learning_rate": 0.02, "seed": 1}
    recipe = place.recipe(output_dir=str(place.run()), training=changed)
    return ["train", recipe, "--resume"]


@case("output_dir: must be new, empty, or of the same run", "another recipe.yaml")
def a_run_folder_with_a_recipe_of_something_else(place):
    (place.here / "run").mkdir()
    (place.here / "run" / "recipe.yaml").write_text("# by hand")
    return ["train", place.recipe(), "--resume"]


@case(
    "output_dir: must be new, empty, or of the same run", "settings.json of something"
)
def a_federation_in_the_folder_of_a_run(place):
    sections = {"adapter": {"method": "lora"}, "federated": {"aggregation": "fedit"}}
    recipe = place.recipe(output_dir=str(place.run()), **sections)
    return ["federate", recipe, "--engine", "local", "--resume"]


@case("f/run: must be a path that fits, got: Not a directory. Check the path.")
def a_run_folder_below_a_file(place):
    (place.here / "f").touch()
    return ["train", place.recipe(output_dir=str(place.here / "f" / "run"))]


@case("must be a path that fits, got: File name too long. Check the path.")
def a_name_that_is_too_long(place):
    return ["check", "x" * 5000]


@case("must be a path that fits, got: Is a directory. Check the path.")
def a_report_on_a_folder(place):
    return ["report", place.trained, "--out", place.here]


@case("must be the folder of a finished run, got one without recipe.yaml. Pass the")
def a_folder_without_a_run(place):
    return ["evaluate", place.here]


@case("must be the folder of a finished run, got no such folder")
def a_run_that_is_not_there(place):
    return ["evaluate", place.here / "nothing"]


@case("must hold one adapter, got an unfinished run. Train it to the end with --resume")
def an_unfinished_run(place):
    shutil.rmtree(place.adapter())
    return ["evaluate", place.here / "spoilt"]


@case("must hold one adapter, got a run with one per task", "left, right.")
def a_run_with_an_adapter_per_task(place):
    spoilt = place.run()
    for task in ("left", "right"):
        shutil.copytree(spoilt / "adapter", spoilt / task / "adapter")
    shutil.rmtree(spoilt / "adapter")
    return ["evaluate", spoilt]


@case("must be a run of a causal language model to write text, got kind embedding")
def text_from_an_encoder(place):
    return ["generate", place.trained, "x", "--set", "base.kind=embedding"]


@case("Unknown task 'lefft'. Did you mean left? Known: left, right.")
def an_unknown_task_to_generate(place):
    return ["generate", place.trained, "x", "--task", "lefft"]


@case("one must be named, got none. Pass --task with one of left, right.")
def no_task_to_generate(place):
    return ["generate", place.trained, "x"]


@case("Unknown task 'lefft'. Did you mean left?")
def an_unknown_task_to_merge(place):
    return ["merge", place.trained, place.here / "out", "--task", "lefft"]


@case("one must be named, got none. Pass --task with one of left, right.")
def no_task_to_merge(place):
    return ["merge", place.trained, place.here / "out"]


@case("out: must be new or empty", "Choose another")
def a_folder_in_use_to_merge_into(place):
    (place.here / "out").mkdir()
    (place.here / "out" / "precious").touch()
    return ["merge", place.trained, place.here / "out", "--task", "left"]


@case("out: must be new or empty, got", "which is in use. Choose another.")
def an_adapter_exported_onto_itself(place):
    adapter = place.adapter()
    return ["export", adapter, adapter, "--task", "left"]


@case("m.yaml: must be UTF-8 text, got", "Is it a recipe?")
def a_merge_recipe_that_is_no_text(place):
    (place.here / "m.yaml").write_bytes(b"adapters: [caf\xe9]")
    return ["merge-adapters", place.here / "m.yaml"]


@case("--temperature: must be a finite number >= 0, got nan.")
def a_temperature_that_is_no_number(place):
    return ["generate", place.trained, "x", "--temperature", "nan"]


@case("router", "cannot be merged", "cotune export --calibrate")
def a_routed_adapter_to_merge(place):
    return ["merge", place.routed, place.here / "out"]


@case("router", "--calibrate")
def a_routed_adapter_to_export(place):
    return ["export", place.routed, place.here / "out"]


@case("Unknown task 'lefft'. Did you mean left?")
def an_unknown_task_to_export(place):
    return ["export", place.trained, place.here / "out", "--task", "lefft"]


@case("average_shares: needs a routed adapter")
def an_adapter_without_a_router_to_calibrate(place):
    return ["export", place.trained, place.here / "out", "--calibrate"]


# -- adapters --------------------------------------------------------------------


@case("adapter_model.safetensors: must be a whole safetensors file, got:", "again")
def an_adapter_that_is_no_safetensors(place):
    adapter = place.adapter()
    (adapter / "adapter_model.safetensors").write_bytes(b"not tensors at all" * 9)
    return ["export", adapter, place.here / "out"]


@case("adapter_model.safetensors: must be a whole safetensors file, got:", "again")
def a_truncated_adapter(place):
    path = place.adapter() / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    return ["evaluate", place.here / "spoilt"]


@case("must exist, got only adapter_model.bin. Pickled weights are not opened")
def a_pickled_adapter(place):
    import torch

    adapter = place.adapter()
    (adapter / "adapter_model.safetensors").unlink()
    torch.save({}, adapter / "adapter_model.bin")
    return ["generate", place.here / "spoilt", "x", "--task", "left"]


@case("adapter_model.safetensors: must exist, got no such file")
def a_config_without_weights(place):
    adapter = place.adapter()
    (adapter / "adapter_model.safetensors").unlink()
    return ["explain", adapter]


@case("must hold adapter_config.json, got a folder without it. Pass the folder that")
def weights_without_a_config(place):
    adapter = place.adapter()
    (adapter / "adapter_config.json").unlink()
    return ["export", adapter, place.here / "out"]


@case("must hold adapter_config.json, got no such folder")
def an_adapter_that_is_not_there(place):
    return ["export", place.here / "nothing", place.here / "out"]


@case("adapter_config.json: must be valid JSON, got")
def a_config_that_is_no_json(place):
    adapter = place.adapter()
    (adapter / "adapter_config.json").write_text('{"peft_type": ')
    return ["export", adapter, place.here / "out"]


@case("numbers must be finite, got NaN or infinity in A of", "train it again")
def an_adapter_with_nan(place):
    def spoil(tensors):
        key = max(key for key in tensors if key.endswith("cotune_A"))
        return {**tensors, key: tensors[key] * float("nan")}

    return ["export", place.tensors(spoil), place.here / "out"]


@case("numbers must be finite, got NaN or infinity in B of", "train it again")
def an_adapter_with_infinity_to_evaluate(place):
    def spoil(tensors):
        key = max(key for key in tensors if key.endswith("cotune_B"))
        return {**tensors, key: tensors[key] + float("inf")}

    return ["evaluate", place.tensors(spoil).parent]


@case("every layer must have A and B, got no B for model.layers.0", "incomplete")
def an_adapter_with_a_factor_missing(place):
    def spoil(tensors):
        key = next(key for key in tensors if key.endswith("cotune_B"))
        return {name: value for name, value in tensors.items() if name != key}

    return ["export", place.tensors(spoil), place.here / "out"]


@case("adapter_config.json: peft_type must be COTUNE or LORA, got 'IA3'. Convert")
def an_adapter_of_another_method(place):
    return ["export", place.config(peft_type="IA3"), place.here / "out"]


@case("must name as many tasks as", "has cores, got 3 for 2. Bring back the config")
def a_config_with_a_task_too_many(place):
    changed = place.config(tasks=["left", "right", "third"])
    return ["export", changed, place.here / "out"]


@case("adapter_config.json: lora_alpha must be a number, got 'x'. Mend it.")
def a_config_with_a_text_for_a_number(place):
    return ["export", place.config(lora_alpha="x"), place.here / "out"]


@case("the update must be low-rank", "got use_dora=true", "Merge it into its base")
def a_dora_adapter(place):
    changed = place.config(peft_type="LORA", use_dora=True)
    return ["export", changed, place.here / "out"]


@case("the base model must be the one the adapter was trained on", "of size (24, 24)")
def an_adapter_of_another_base(place):
    write_base(place.here / "wide", hidden=24)
    return ["evaluate", place.trained, "--set", f"base.name={place.here / 'wide'}"]


# -- federations -----------------------------------------------------------------


@case("a fault", "federated.aggregation: Unknown option of fedit 'width'. Known: none.")
def an_option_that_the_aggregation_lacks(place):
    aggregation = {"name": "fedit", "width": 3}
    return ["check", place.recipe(federated={"aggregation": aggregation})]


@case("federated.aggregation: options of fed-alora-any must have the types of their")
def an_option_of_the_aggregation_of_another_type(place):
    aggregation = {"name": "fed-alora-any", "width": "x"}
    return ["check", place.recipe(federated={"aggregation": aggregation})]


# -- comparisons -----------------------------------------------------------------


@case("arms: must be at least one", "got none. Pass --method or --arm.")
def a_comparison_of_nothing(place):
    return ["compare", place.recipe()]


@case("arms: must be at least one, with names that differ", "LoRA, LoRA")
def two_arms_of_one_name(place):
    return ["compare", place.recipe(), "--method", "lora", "--method", "lora"]


@case("Unknown method 'hydra'", "Known: lora, cola", "separate")
def an_unknown_method_to_compare(place):
    return ["compare", place.recipe(), "--method", "hydra"]


@case("--arm: must be 'name: key=value key=value', got 'adapter.r=4'.")
def an_arm_without_a_name(place):
    return ["compare", place.recipe(), "--arm", "adapter.r=4"]


@case("arm 'wide': a fault:", "adapter.rr: Unknown key 'rr'")
def an_arm_with_an_unknown_key(place):
    return ["compare", place.recipe(), "--arm", "wide: adapter.rr=4"]


@case("data: a comparison needs validation rows, got none for left, right.", "share")
def a_comparison_without_validation_rows(place):
    recipe = place.recipe(data={"validation_share": 0.0})
    return ["compare", recipe, "--method", "lora"]


@case("must be of the same recipe, got a finished run of another one.")
def a_comparison_in_a_folder_of_another(place):
    for_other = {"learning_rate": 0.01, "max_steps": 2}
    folder = place.here / "run" / "lora-lr0.01-seed0"
    folder.mkdir(parents=True)
    (folder / "cell.json").write_text(json.dumps({"cell": {}, "recipe": for_other}))
    return ["compare", place.recipe(), "--method", "lora"]


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> dict[str, Path]:
    """Train what the cases spoil."""
    world = tmp_path_factory.mktemp("world")
    recipe = write_world(world)
    runs = {"trained": ("colora",), "routed": ("alora", "adapter.num_A=2")}
    for name, (method, *changes) in runs.items():
        every = (f"adapter.method={method}", f"output_dir={world / name}", *changes)
        run("train", recipe, *(word for one in every for word in ("--set", one)))
    return {"world": world, **{name: world / name for name in runs}}


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 30


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_gives_its_message_and_code_2(name, tmp_path, finished) -> None:
    make, says = CASES[name]
    result = call(*make(Place(here=tmp_path, **finished)))
    assert result.exit_code == 2, result.output
    # Before it, transformers may have drawn a progress bar.
    _, _, message = result.stderr.partition("cotune: ")
    missing = [text for text in says if text not in message]
    assert not missing, result.stderr
    assert "Traceback" not in result.stderr
