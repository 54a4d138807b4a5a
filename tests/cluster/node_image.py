"""The commands that cluster.yaml runs on a new node, in a fresh system of the kind it names.

    python tests/cluster/node_image.py [--keyring FILE]    # as root, from a checkout

Ubuntu 24.04 is unpacked into a folder by debootstrap (package `debootstrap`, keys of Ubuntu's
archive in package `ubuntu-keyring`). The wheel, the constraints and a token go where `file_mounts`
says, the commands run as the user `ubuntu`, and the installed command then checks all studies. It
downloads a system and the packages of `constraints.txt`, so no test does this.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

RELEASE, MIRROR = "noble", "http://archive.ubuntu.com/ubuntu"
SCRIPT = "/usr/share/debootstrap/scripts/gutsy"  # of all releases of Ubuntu since
KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
# How packages are found here, for hosts that go through a proxy.
SETTINGS = ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt")

CHECKS = (
    "~/venv/bin/raysearch --version && ~/venv/bin/ray --version",
    "~/venv/bin/raysearch check amos-glue && ~/venv/bin/python -c 'import boto3'",
)


def main() -> None:
    """Run the commands, and say which one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keyring", default=KEYRING, help="the keys of Ubuntu's archive")
    keyring = parser.parse_args().keyring
    config = yaml.safe_load(Path("cluster.yaml").read_text())
    with (
        tempfile.TemporaryDirectory(prefix="raysearch-node-") as folder,
        system(Path(folder), keyring),
    ):
        root = Path(folder)
        copy_files(root, config["file_mounts"])
        run(root, "chown -R ubuntu /home/ubuntu", user="root")
        for command in [*config["setup_commands"], *config["head_setup_commands"], *CHECKS]:
            print(f"$ {command}", flush=True)
            run(root, command)
    print("all commands of a node have succeeded")


@contextmanager
def system(root: Path, keyring: str) -> Iterator[None]:
    """Unpack a system with the user `ubuntu`, who may use sudo; /proc and /dev are mounted."""
    included = "--include=sudo,ca-certificates,python3"
    components = "--components=main,universe"
    check("debootstrap", "--variant=minbase", f"--keyring={keyring}", included, components,
          RELEASE, str(root), MIRROR, SCRIPT)  # fmt: skip
    root.chmod(0o755)
    for path in filter(os.path.exists, SETTINGS):
        shutil.copy(path, root / path.lstrip("/"), follow_symlinks=True)
    sudoers = root / "etc/sudoers.d/ubuntu"
    sudoers.write_text("ubuntu ALL=(ALL) NOPASSWD:ALL\n")
    for kind, name in (("proc", "proc"), ("devtmpfs", "dev")):
        check("mount", "-t", kind, kind, str(root / name))
    try:
        run(root, "id ubuntu || useradd --create-home --shell /bin/bash ubuntu", user="root")
        yield
    finally:
        for name in ("dev", "proc"):
            check("umount", "--lazy", str(root / name))


def copy_files(root: Path, mounts: dict[str, str]) -> None:
    """Copy what `ray up` would copy; the wheel is built, and the token is made up."""
    for target, source in mounts.items():
        place = root / target.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if source == "dist":
            check(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(place), ".")
        elif source.startswith("~"):
            place.write_text("0" * 64)
        else:
            shutil.copy(source, place)


def run(root: Path, command: str, user: str = "ubuntu") -> None:
    """Run a command of a user in the system, as a login shell does."""
    check("chroot", str(root), "su", "--login", user, "-c", command)


def check(*command: str) -> None:
    """Run a command here; end with its name if it fails."""
    if subprocess.run(command).returncode:
        sys.exit(f"failed: {' '.join(command)}")


if __name__ == "__main__":
    main()
