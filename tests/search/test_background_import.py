"""A module that is imported in a thread."""

import sys

from raysearch.search.background_import import import_in_background


def test_the_module_is_there_after_the_thread(tmp_path, monkeypatch):
    (tmp_path / "toy_module_that_is_late.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    import_in_background("toy_module_that_is_late").join()
    assert sys.modules.pop("toy_module_that_is_late").answer == 42


def test_a_module_can_follow_another_one(tmp_path, monkeypatch):
    (tmp_path / "toy_first.py").write_text("import time; time.sleep(0.1); began = time.time()")
    (tmp_path / "toy_second.py").write_text("import sys; first = sys.modules.get('toy_first')")
    monkeypatch.syspath_prepend(tmp_path)
    first = import_in_background("toy_first")
    import_in_background("toy_second", after=first).join()
    module = sys.modules.pop("toy_first")
    assert sys.modules.pop("toy_second").first is module
    assert module.began


def test_an_import_that_fails_says_nothing(capfd):
    import_in_background("no_module_of_this_name").join()
    assert capfd.readouterr() == ("", "")
