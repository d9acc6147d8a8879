"""The start script, with a Python that only pretends, so that nothing is downloaded."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = ("bash", "cat", "cksum", "cp", "dirname", "env", "grep", "mkdir", "rm", "sleep", "sort", "tail", "tr", "wc")

# Notes each call in $CALLS; `-m venv` copies itself into .venv, an editable install makes the console script.
PRETENDER = """\
#!/usr/bin/env bash
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
    "-c import sys"*) exit "${TOO_OLD:-0}" ;;
    "-c import ensurepip"*) exit "${NO_VENV:-0}" ;;
    --version) echo "Python 3.13.0" ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *--editable*) cp "$PRETENDED_AUTOTRADER" .venv/bin/autotrader ;;
    "-m pip install"*)
        echo "Collecting aiohttp==3"
        echo "Installing collected packages: aiohttp"
        if [[ -n ${PIP_SAYS:-} ]]; then echo "$PIP_SAYS" >&2; exit 1; fi
        ;;
esac
"""
AUTOTRADER = """\
#!/usr/bin/env bash
trap 'echo stopped; exit 0' TERM
echo "autotrader $* in $PWD as $$"
[[ "$*" != *--wait* ]] || while :; do sleep 0.05; done
"""


@dataclass(frozen=True)
class House:
    """A clone with the script and its locks, and a PATH in which nothing is real but a few tools."""

    clone: Path
    environ: dict[str, str]
    calls: Path

    def start(self, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.clone / "start_master_orchestrator.sh", *arguments],
            cwd="/",
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def installs(self) -> int:
        return self.calls.read_text().count("--require-hashes") if self.calls.exists() else 0


def executable(file: Path, text: str) -> Path:
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.fixture
def house(tmp_path: Path) -> House:
    clone, bin_folder = tmp_path / "a clone", tmp_path / "bin"
    clone.mkdir()
    bin_folder.mkdir()
    for name in ("start_master_orchestrator.sh", "requirements.lock", "pyproject.toml"):
        shutil.copy2(REPOSITORY / name, clone / name)
    for tool in TOOLS:
        (bin_folder / tool).symlink_to(shutil.which(tool) or "")
    executable(bin_folder / "python3.13", PRETENDER)
    calls = tmp_path / "calls"
    environ = {
        "PATH": str(bin_folder),
        "HOME": str(tmp_path),
        "CALLS": str(calls),
        "PRETENDED_AUTOTRADER": str(executable(tmp_path / "autotrader", AUTOTRADER)),
    }
    return House(clone, environ, calls)


@pytest.mark.feature("S1")
def test_the_first_start_makes_the_environment_and_the_folders_from_anywhere(house: House) -> None:
    done = house.start("--speed", "5 0")
    assert done.returncode == 0, done.stderr
    assert f"autotrader run --speed 5 0 in {house.clone} as" in done.stdout
    assert "1/3" in done.stdout and "2/3" in done.stdout and "3/3" in done.stdout
    assert all((house.clone / name).is_dir() for name in ("data", "logs", "signals", "models"))
    assert house.installs() == 1


def test_a_second_start_installs_nothing_and_starts_no_python(house: House) -> None:
    house.start()
    before = house.calls.read_text()
    done = house.start()
    assert done.returncode == 0
    assert done.stdout.startswith("autotrader run")
    assert house.calls.read_text() == before


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_at_the_next_start(house: House, name: str) -> None:
    house.start()
    with (house.clone / name).open("a") as file:
        file.write("\n# changed\n")
    house.start()
    house.start()
    assert house.installs() == 2


def test_a_moved_clone_is_installed_anew(house: House, tmp_path: Path) -> None:
    house.start()
    moved = House(house.clone.rename(tmp_path / "moved"), house.environ, house.calls)
    assert f"in {moved.clone} as" in moved.start().stdout
    assert moved.installs() == 2


def test_a_stopped_installation_is_taken_up_again(house: House) -> None:
    assert house.start(PIP_SAYS="ERROR: No space left on device").returncode == 1
    done = house.start()
    assert done.returncode == 0
    assert house.installs() == 2


@pytest.mark.parametrize(
    ("pip_says", "words"),
    [
        ("Failed to establish a new connection: [Errno 101] Network is unreachable", "Is there a network"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", "not the one that was locked"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: something else", "could not be installed"),
    ],
)
def test_a_failed_installation_is_explained(house: House, pip_says: str, words: str) -> None:
    done = house.start(PIP_SAYS=pip_says)
    assert done.returncode == 1
    assert words in done.stderr
    assert pip_says in done.stderr
    assert "autotrader run" not in done.stdout


def test_without_a_python_that_runs_the_script_says_what_to_install(house: House) -> None:
    done = house.start(TOO_OLD="1")
    assert done.returncode == 1
    assert "no Python 3.11 or newer" in done.stderr
    assert not (house.clone / ".venv").exists()


def test_a_named_python_that_is_too_old_is_refused(house: House) -> None:
    done = house.start(PYTHON=str(executable(house.clone / "old", "#!/usr/bin/env bash\nexit 1\n")))
    assert done.returncode == 1
    assert "PYTHON=" in done.stderr


def test_a_python_without_venv_is_explained(house: House) -> None:
    done = house.start(NO_VENV="1")
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


def test_the_state_folder_of_the_environment_is_used(house: House, tmp_path: Path) -> None:
    assert house.start(STATE_DIR=str(tmp_path / "state")).returncode == 0
    assert (tmp_path / "state" / "signals").is_dir()
    assert not (house.clone / "data").exists()


def test_signals_reach_the_program_and_its_exit_code_comes_back(house: House) -> None:
    house.start()
    script = [str(house.clone / "start_master_orchestrator.sh"), "--wait"]
    with subprocess.Popen(script, env=house.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().endswith(f"as {process.pid}\n")
        os.kill(process.pid, signal.SIGTERM)
        assert process.stdout.read() == "stopped\n"
        assert process.wait(timeout=30) == 0


@pytest.mark.parametrize("script", ["start_master_orchestrator.sh", "run_tests.sh", ".ci/run"])
def test_every_script_is_executable_and_parses(script: str) -> None:
    assert os.access(REPOSITORY / script, os.X_OK)
    subprocess.run(["bash", "-n", REPOSITORY / script], check=True, timeout=30)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_locks_pin_and_hash_everything_and_name_no_index(lock: str) -> None:
    lines = (REPOSITORY / lock).read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("-")]
    packages = [number for number, line in enumerate(lines) if not line.startswith(" ")]
    assert all("==" in lines[number] and "--hash=sha256:" in lines[number + 1] for number in packages)
