"""Register raysearch's models with transformers' Auto classes when those are first imported.

`import raysearch` is thus enough to load these models by `AutoModel`, and imports neither torch nor
transformers itself.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_AUTO = "transformers.models.auto.configuration_auto"


def register_when_imported() -> None:
    """Register the models now if the Auto classes are imported, else when they are."""
    if _AUTO in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """An import hook that registers the models once the Auto classes are imported, by any code.

    It waits for the end of the outermost import of transformers: before that, modules that a model
    needs may be only partly executed. Then it removes itself.

    Attributes:
        running: names of the modules of transformers that are being executed, outermost first.
    """

    def __init__(self) -> None:
        self.running: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] != "transformers":
            return None
        finders = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(name, path, target) for finder in finders)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _NotifyingLoader(spec.loader, self)
        return spec

    def finish(self, name: str) -> None:
        """Note that a module was executed; register the models after the outermost one."""
        self.running.remove(name)
        if not self.running and _AUTO in sys.modules and self in sys.meta_path:
            sys.meta_path.remove(self)
            _register()


class _NotifyingLoader(Loader):
    """A proxy of a module's loader that tells the finder when the module was executed."""

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader, self._finder = loader, finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._finder.running.append(module.__name__)
        try:
            self._loader.exec_module(module)
        finally:
            self._finder.finish(module.__name__)


def _register() -> None:
    import_module(".models.auto_registration", __package__)
