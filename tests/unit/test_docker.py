"""The image's recipe and compose.yaml, by their linters and by what the house promises."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def compose() -> Any:
    command = [TOOLS / "docker-compose", "--file", REPOSITORY / "compose.yaml", "config", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)["services"]["autotrader"]


@pytest.mark.feature("U5")
def test_the_linter_finds_nothing_in_the_dockerfile() -> None:
    done = subprocess.run(
        [TOOLS / "hadolint", REPOSITORY / "Dockerfile"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_builds_on_any_base_with_any_builder() -> None:
    assert "ARG BASE=python:3.13-slim" in DOCKERFILE
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${BASE}", "${BASE}"]
    for special in ("<<", "--link", "@sha256", "--mount"):
        assert special not in DOCKERFILE


def test_the_image_runs_as_a_plain_user_with_one_volume_and_a_health_check() -> None:
    final = DOCKERFILE.rpartition("FROM ")[2]
    assert "USER 10001:10001" in final
    assert re.findall(r"^VOLUME (.*)", final, re.MULTILINE) == ["/state"]
    assert "STATE_DIR=/state" in final
    assert 'CMD ["autotrader", "healthcheck"]' in final
    assert "pip install" not in final


def test_the_image_gets_only_what_it_needs() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for name in line.split()}
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == copied - {"./"}


def test_compose_restarts_keeps_state_and_publishes_nothing() -> None:
    service = compose()
    assert service["restart"] == "unless-stopped"
    assert [volume["target"] for volume in service["volumes"]] == ["/state"]
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]
    assert "ports" not in service
    assert service["environment"]["STATE_DIR"] == "/state"


def test_files_beside_the_modules_are_part_of_the_package() -> None:
    """What is not Python must be named in pyproject's package data, or the image lacks it."""
    patterns = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    packed = {
        file
        for package, globs in patterns.items()
        for glob in globs
        for file in (REPOSITORY / package.replace(".", "/")).glob(glob)
    }
    files = {
        file
        for room in ("bot", "core", "jobs")
        for file in (REPOSITORY / room).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert files <= packed
