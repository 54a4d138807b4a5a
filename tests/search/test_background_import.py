"""A module that is imported in a thread."""

import subprocess
import sys

import pytest

from raysearch.search.background_import import import_in_background


def test_the_module_is_there_after_the_thread(tmp_path, monkeypatch):
    (tmp_path / "toy_module_that_is_late.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    import_in_background("toy_module_that_is_late").join()
    assert sys.modules.pop("toy_module_that_is_late").answer == 42


@pytest.mark.slow
def test_threads_that_need_models_at_the_same_time_get_them_whole():
    code = (
        "import threading\n"
        "from raysearch.search.background_import import import_models\n"
        "threads = [threading.Thread(target=import_models) for _ in range(4)]\n"
        "[thread.start() for thread in threads]\n"
        "import_models()\n"
        "from raysearch.models import read_pretrained, save_model\n"
        "[thread.join() for thread in threads]\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_import_that_fails_says_nothing(capfd):
    import_in_background("no_module_of_this_name").join()
    assert capfd.readouterr() == ("", "")
