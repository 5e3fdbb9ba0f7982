"""Run a function once another package is imported, without importing it.

PEFT takes seconds to import, and ``cotune --help`` does not need it. But a user who
writes ``import cotune`` and then loads an adapter with PEFT expects PEFT to know its
type. So the registration waits for PEFT.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


def after_import(package: str, action: Callable[[], None]) -> None:
    """Run ``action`` now if the package is imported, else right after it is.

    Args:
        package: Name of a top-level package.
        action: Called once, with the package complete.
    """
    if _is_complete(package):
        action()
    else:
        sys.meta_path.insert(0, _Watcher(package, action))


def _is_complete(package: str) -> bool:
    module = sys.modules.get(package)
    spec = getattr(module, "__spec__", None)
    return module is not None and not getattr(spec, "_initializing", False)


class _Watcher(MetaPathFinder):
    """Finds the package like Python does, with a loader that acts afterwards."""

    def __init__(self, package: str, action: Callable[[], None]) -> None:
        self.package = package
        self.action = action

    def find_spec(
        self,
        fullname: str,
        path: Iterable[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        if fullname != self.package:
            return None
        # All finders after this one, for a package may be installed in editable mode.
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            spec = finder.find_spec(fullname, None, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _ActingLoader(spec.loader, self)
                return spec
        return None


class _ActingLoader(Loader):
    def __init__(self, loader: Loader, watcher: _Watcher) -> None:
        self._loader = loader
        self._watcher = watcher

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if self._watcher in sys.meta_path:
            sys.meta_path.remove(self._watcher)
        # Others ask a module's loader for its files and source: give the real one back.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._watcher.action()
