from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import DataFault, Transient
from jobs.worker import SpawnedWorker
from tests import worker_tasks

pytestmark = pytest.mark.feature("S14")
PATIENCE = 60.0


def eventually(holds: Callable[[], bool], within: float = 30.0) -> None:
    for _ in range(int(within / 0.02)):
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError("never came true")


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def hang_in(worker: SpawnedWorker, pid_file: Path, failures: list[Transient]) -> None:
    try:
        worker.run(worker_tasks.hang, pid_file, deadline=PATIENCE)
    except Transient as error:
        failures.append(error)


def test_a_task_runs_in_a_niced_process_of_its_own_that_is_gone_afterwards() -> None:
    worker = SpawnedWorker()
    pid = worker.run(worker_tasks.own_pid, deadline=PATIENCE)
    assert pid != os.getpid()
    assert not is_alive(pid)
    assert worker.pid is None
    assert worker.run(worker_tasks.niceness, deadline=PATIENCE) >= os.nice(0) + 10 or os.nice(0) > 9
    assert worker.run(worker_tasks.threads_allowed, deadline=PATIENCE) == "1"


def test_a_kept_process_serves_many_tasks_until_it_is_stopped() -> None:
    worker = SpawnedWorker(keep=True)
    pid = worker.run(worker_tasks.own_pid, deadline=PATIENCE)
    assert worker.run(worker_tasks.own_pid, deadline=PATIENCE) == pid
    assert worker.run(worker_tasks.add, 2, 3, deadline=PATIENCE) == 5
    worker.stop()
    assert not is_alive(pid)
    worker.stop()


def test_a_kept_process_that_died_while_idle_is_replaced() -> None:
    worker = SpawnedWorker(keep=True)
    pid = worker.run(worker_tasks.own_pid, deadline=PATIENCE)
    os.kill(pid, signal.SIGKILL)
    # Until it can be waited for: its first thread may be gone while another is still on its way out.
    eventually(lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None)
    assert worker.run(worker_tasks.add, 1, 1, deadline=PATIENCE) == 2
    worker.stop()


def test_what_a_task_raises_arrives_whole_with_the_place_where_it_happened() -> None:
    worker = SpawnedWorker(keep=True)
    with pytest.raises(DataFault) as raised:
        worker.run(worker_tasks.refuse, "no bars", deadline=PATIENCE)
    assert (raised.value.symbol, raised.value.reason) == ("SPY", "no bars")
    assert "worker_tasks.py" in "".join(raised.value.__notes__)
    with pytest.raises(RuntimeError, match="cannot travel"):
        worker.run(worker_tasks.refuse_stubbornly, deadline=PATIENCE)
    with pytest.raises(Exception, match="pickle"):
        worker.run(worker_tasks.give_a_lambda, deadline=PATIENCE)
    assert worker.run(worker_tasks.add, 1, 2, deadline=PATIENCE) == 3
    worker.stop()


def test_a_process_that_dies_is_transient_and_the_next_task_runs() -> None:
    worker = SpawnedWorker()
    with pytest.raises(Transient, match="died"):
        worker.run(worker_tasks.die, deadline=PATIENCE)
    assert worker.run(worker_tasks.add, 20, 22, deadline=PATIENCE) == 42


def test_a_hanging_task_is_killed_at_its_deadline(tmp_path: Path) -> None:
    worker = SpawnedWorker(keep=True)
    # Its process is up and knows the tasks: the deadline need not allow for that.
    pid = worker.run(worker_tasks.own_pid, deadline=PATIENCE)
    with pytest.raises(Transient, match="killed after"):
        worker.run(worker_tasks.hang, tmp_path / "pid", deadline=1.0)
    assert int((tmp_path / "pid").read_text()) == pid
    eventually(lambda: not is_alive(pid))
    assert worker.run(worker_tasks.add, 20, 22, deadline=PATIENCE) == 42
    worker.stop()


def test_stopping_ends_a_running_task(tmp_path: Path) -> None:
    worker = SpawnedWorker()
    failures: list[Transient] = []
    thread = threading.Thread(target=hang_in, args=(worker, tmp_path / "pid", failures))
    thread.start()
    eventually((tmp_path / "pid").exists)
    worker.stop()
    thread.join(PATIENCE)
    assert len(failures) == 1
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_busy_worker_is_transient_for_the_one_who_waits_too_long(tmp_path: Path) -> None:
    worker = SpawnedWorker()
    thread = threading.Thread(target=hang_in, args=(worker, tmp_path / "pid", []))
    thread.start()
    eventually((tmp_path / "pid").exists)
    with pytest.raises(Transient, match="busy"):
        worker.run(worker_tasks.add, 1, 1, deadline=0.05)
    worker.stop()
    thread.join(PATIENCE)


def test_who_waits_is_next_whatever_the_one_at_work_has_more_to_do(tmp_path: Path) -> None:
    worker, order, go = SpawnedWorker(keep=True), list[str](), tmp_path / "go"

    def two_tasks() -> None:
        worker.run(worker_tasks.wait_for, tmp_path / "begun", go, deadline=PATIENCE)
        worker.run(worker_tasks.add, 1, 1, deadline=PATIENCE)
        order.append("the second task of the one at work")

    def one_task() -> None:
        worker.run(worker_tasks.add, 2, 2, deadline=PATIENCE)
        order.append("the one who waited")

    at_work, waiting = threading.Thread(target=two_tasks), threading.Thread(target=one_task)
    at_work.start()
    eventually((tmp_path / "begun").exists)
    waiting.start()
    eventually(lambda: worker.is_awaited)
    go.touch()
    for thread in (at_work, waiting):
        thread.join(PATIENCE)
    worker.stop()
    assert order == ["the one who waited", "the second task of the one at work"]


def test_large_arguments_travel() -> None:
    assert SpawnedWorker().run(worker_tasks.size_of, bytes(20_000_000), deadline=PATIENCE) == 20_000_000


def test_the_main_process_stays_free_of_scikit_learn_and_matplotlib() -> None:
    script = (
        "import sys\n"
        "from jobs.worker import SpawnedWorker\n"
        "import jobs.contest, jobs.winner, jobs.old_models, jobs.going_back, bot.model_picture\n"
        "import jobs.retrain, core.strategy.decide, core.strategy.predictor, core.adapters.model_files\n"
        "from tests import worker_tasks\n"
        "if __name__ == '__main__':\n"
        "    assert SpawnedWorker().run(worker_tasks.import_sklearn, deadline=60)\n"
        "    heavy = {'sklearn', 'matplotlib', 'scipy', 'joblib', 'pandas'} & set(sys.modules)\n"
        "    assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr


PARENT = """
import sys
from pathlib import Path
from jobs.worker import SpawnedWorker
from tests import worker_tasks
if __name__ == "__main__":
    try:
        SpawnedWorker().run(worker_tasks.hang, Path(sys.argv[1]), deadline=60)
    except KeyboardInterrupt:
        print("interrupted")
"""


def start_parent(pid_file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, str(pid_file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_process_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    parent = start_parent(tmp_path / "pid")
    eventually((tmp_path / "pid").exists)
    child = int((tmp_path / "pid").read_text())
    parent.kill()
    parent.communicate()
    eventually(lambda: not is_alive(child))


@pytest.mark.parametrize("busy", [True, False])
def test_ctrl_c_in_the_terminal_prints_no_traceback_of_the_child(tmp_path: Path, busy: bool) -> None:
    parent = start_parent(tmp_path / "pid")
    eventually((tmp_path / "pid").exists if busy else lambda: len(children_of(parent.pid)) >= 2)
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=PATIENCE)
    assert out == "interrupted\n"
    assert err == ""


MASKS = """
import signal
from multiprocessing import util
from jobs.worker import SpawnedWorker
from tests import worker_tasks
spawn = util.spawnv_passfds
def seen(*arguments):
    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    return spawn(*arguments)
util.spawnv_passfds = seen
if __name__ == "__main__":
    SpawnedWorker().run(worker_tasks.add, 1, 2, deadline=60)
    print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_the_very_first_child_of_a_process_begins_with_interrupts_blocked_as_well() -> None:
    done = subprocess.run([sys.executable, "-c", MASKS], capture_output=True, text=True, timeout=PATIENCE, check=True)
    *spawned, afterwards = done.stdout.split()
    assert spawned == ["True", "True"]
    assert afterwards == "False"


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
