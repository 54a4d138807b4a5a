"""Makes our models known to transformers' Auto classes when these are first imported, by anyone, so
that `import raysearch` is enough and loads neither torch nor transformers."""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_AUTO = "transformers.models.auto.configuration_auto"


def register_when_imported() -> None:
    """Register the models now where the Auto classes are there, else once they come."""
    if _AUTO in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Registers the models that transformers lacks once its Auto classes are imported, by anyone.

    It waits for the end of the outermost import of transformers, within which modules that a model
    needs may be half done.
    """

    def __init__(self) -> None:
        self.under_way: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] != "transformers":
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)
        return spec

    def end(self, name: str) -> None:
        self.under_way.remove(name)
        if not self.under_way and _AUTO in sys.modules and self in sys.meta_path:
            sys.meta_path.remove(self)
            _register()


class _Loader:
    """Stands before a module's loader until the module is run."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._finder.under_way.append(module.__name__)
        try:
            self._loader.exec_module(module)
        finally:
            self._finder.end(module.__name__)


def _register() -> None:
    import_module(".models.registry", __package__)
