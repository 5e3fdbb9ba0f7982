"""``cotune methods``."""


def run_methods() -> None:
    """Show the table of methods: banks, coupling, core, start, owners."""
    from rich import print as show
    from rich.table import Table

    from ..adapters import METHODS

    table = Table(title="Methods", caption="M, N: sizes of the banks. T: tasks.")
    columns = ("method", "name", "M", "N", "coupling", "core", "start", "private")
    for column in (*columns, "paper"):
        table.add_column(column)
    for name, method in METHODS.items():
        private = [k for k, owner in method.owners.items() if owner == "private"]
        sizes = [str(s).replace("tasks", "T") for s in (method.num_A, method.num_B)]
        how = (method.coupling, method.core, method.start)
        own = ", ".join(private) or "-"
        table.add_row(name, method.title, *sizes, *how, own, method.paper)
    show(table)
