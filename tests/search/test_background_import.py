"""A module that is imported in a thread."""

import sys

from raysearch.search.background_import import import_in_background


def test_the_module_is_there_after_the_thread(tmp_path, monkeypatch):
    (tmp_path / "toy_module_that_is_late.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    import_in_background("toy_module_that_is_late").join()
    assert sys.modules.pop("toy_module_that_is_late").answer == 42


def test_an_import_that_fails_says_nothing(capfd):
    import_in_background("no_module_of_this_name").join()
    assert capfd.readouterr() == ("", "")
