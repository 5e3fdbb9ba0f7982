"""What is imported only when it is needed."""

from helpers import run_python


def test_the_room_and_the_sections_load_no_heavy_library():
    code = (
        "import json, sys\n"
        "import cotune.training as room\n"
        "first = sorted({'torch', 'transformers', 'peft', 'datasets'} & set(sys.modules))\n"
        "names = [name for name in room.__all__ if not hasattr(room, name)]\n"
        "print(json.dumps([first, names]))\n"
    )
    heavy, missing = run_python(code)
    assert heavy == [] and missing == []


def test_the_harness_and_trl_stay_unloaded_in_training():
    code = (
        "import json, sys\n"
        "from cotune.training import run_training, CoTuneTrainer\n"
        "print(json.dumps(sorted({'lm_eval', 'trl', 'tensorboard'} & set(sys.modules))))\n"
    )
    assert run_python(code) == []
