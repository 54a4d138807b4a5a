"""What takes the place of Ray's dashboard agent in a cluster of this machine: it waits.

It is a program that imports nothing of raysearch or Ray. It ends when its raylet has ended.
"""

import os
import time


def main() -> None:
    """Wait until the process that started this one has ended."""
    raylet = os.getppid()
    while os.getppid() == raylet:
        time.sleep(1)


if __name__ == "__main__":
    main()
