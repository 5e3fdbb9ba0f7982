"""``cotune methods``."""


def run_methods() -> None:
    """Show the table of methods: banks, coupling, core, start, owners."""
    from rich.box import SIMPLE
    from rich.table import Table

    from ..adapters import METHODS
    from ._show import show

    caption = "M A's and N B's; T: number of tasks. Private: what each task keeps."
    table = Table(title="Methods", caption=caption, box=SIMPLE, pad_edge=False)
    for column in ("method", "M, N", "coupling", "core", "start", "private", "arXiv"):
        table.add_column(column, no_wrap=True)
    for name, method in METHODS.items():
        private = [k for k, owner in method.owners.items() if owner == "private"]
        sizes = f"{method.num_A}, {method.num_B}".replace("tasks", "T")
        how = (method.coupling, method.core, method.start)
        own = ", ".join(private) or "-"
        table.add_row(name, sizes, *how, own, method.paper.removeprefix("arXiv:"))
    show(table)
