"""What makes a program wait for a device: found on a CPU, where nothing has to wait."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# The host needs a value, or the number of the rows of a result, from the device.
WAITING = (
    "_local_scalar_dense", "is_nonzero", "nonzero", "masked_select", "equal", "_unique", "_unique2",
    "unique_dim", "unique_consecutive", "item", "repeat_interleave.Tensor", "bincount",
)  # fmt: skip


class Waits(TorchDispatchMode):
    """Collects the operations in its block for which a host would wait for a GPU.

    Attributes:
        found: the names of these operations.
    """

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        name = str(function).removeprefix("aten.")
        if name.split(".")[0] in WAITING or name in WAITING:
            self.found.append(name)
        if name.startswith(("index.", "index_put")):  # by truth values, which are counted
            indices = arguments[1]
            if any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in indices):
                self.found.append(f"{name} by truth values")
        return function(*arguments, **(options or {}))
