"""What Ray Train calls in each process of a lane.

It is apart from the lane, whose module loads Ray Tune, and from the worker, whose module loads
torch: the lane's process loads this one too.
"""

import gc
from typing import Any


def worker_loop(config: dict[str, Any]) -> None:
    """Run a worker of a lane.

    Args:
        config: `threads`, of torch; `checkpoints`, see `checkpoint_files`; and the other arguments
            of a Worker.
    """
    gc.disable()  # a seventh of the time of these imports goes to the search for unused objects
    import torch

    from .checkpoint_files import checkpoint_files
    from .worker import Worker

    gc.freeze()  # modules stay: later searches leave them out
    gc.enable()
    torch.set_num_threads(config.pop("threads"))
    files = checkpoint_files(**config.pop("checkpoints"))
    Worker(checkpoints=files, **config).work()
