"""Models are imported without SciPy, and transformers' losses still find it."""

import subprocess
import sys

LOSSES = """
import sys
import raysearch.models
assert "transformers.modeling_utils" in sys.modules
assert "scipy.optimize" not in sys.modules, "SciPy is imported with the models"
from transformers.loss import loss_deformable_detr, loss_for_object_detection, loss_rt_detr
from transformers.utils import is_scipy_available
assert is_scipy_available()
for module in (loss_deformable_detr, loss_for_object_detection, loss_rt_detr):
    assert module.is_scipy_available is is_scipy_available
    rows, columns = module.linear_sum_assignment([[2.0, 1.0], [1.0, 3.0]], maximize=True)
    assert (list(rows), list(columns)) == ([0, 1], [0, 1])
assert "scipy.optimize" in sys.modules
"""


def test_models_are_imported_without_scipy_which_the_losses_of_object_detection_still_find():
    done = subprocess.run([sys.executable, "-c", LOSSES], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
