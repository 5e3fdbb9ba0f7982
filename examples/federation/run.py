"""Run a recipe with one server and all its clients on this machine, as if on many.

    python examples/federation/run.py RECIPE FOLDER

Makes certificates and keys, starts a SuperLink, a proxy, and one SuperNode per client,
all with TLS and node keys, runs the recipe, prints what the server says, and ends all
that it started. Results lie in FOLDER/run; keys and logs beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from loopback import CONNECTION, Loopback

from cotune.recipes import build_plan, read_recipe


def run(recipe: Path, folder: Path, timeout: float = 3600.0) -> Path:
    """Run a recipe in a federation on this machine.

    Args:
        recipe: With a section ``federated``. Its paths must be whole ones, since the
            programs do not run where this one does.
        folder: For keys, logs and results; new or empty.
        timeout: Seconds that the run may take.

    Returns:
        The run folder of the server.
    """
    recipe, folder = recipe.resolve(), folder.resolve()
    plan = build_plan(read_recipe(recipe))
    # What a party says at home: who it is, its own copy of the recipe, and where it
    # keeps what never leaves it.
    nodes = {
        client.name: {
            "client": client.name,
            "recipe": str(recipe),
            "state": str(folder / "clients" / client.name),
        }
        for client in plan.clients
    }
    result = folder / "run"
    with Loopback(folder, nodes) as federation:
        command = ["cotune", "federate", str(recipe), "--superlink", CONNECTION]
        command += ["--set", f"output_dir={result}"]
        # Whose key which node has: nobody else can say that name.
        command += ["--set", f"federated.nodes={json.dumps(federation.numbers)}"]
        print(federation.run(command, timeout))
    return result


if __name__ == "__main__":
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("recipe", type=Path)
    parse.add_argument("folder", type=Path)
    args = parse.parse_args()
    print(f"Results: {run(args.recipe, args.folder)}")
