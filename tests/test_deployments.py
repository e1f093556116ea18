"""prefect.yaml on a real server: deployed, run by a worker, shown, and cancelled in the midst of a crawl."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import ROOT, SAMPLES

pytestmark = pytest.mark.timeout(400)
PREFECT = Path(sys.executable).with_name("prefect")
FUNDMATCH = Path(sys.executable).with_name("fundmatch")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def waited(what: Callable[[], Any], seconds: float = 90) -> Any:
    """The first true answer within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.2)
    raise AssertionError("it did not come")


@contextmanager
def running(command: list[Any], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, which is ended at last with all that it started."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def deployed(
    demo: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[httpx.Client, Path]]:
    """A server, its API, a worker, and the home that the deployments are of."""
    folder, port = tmp_path_factory.mktemp("prefect"), free_port()
    home = Path(shutil.copytree(demo[0], folder / "home", ignore=shutil.ignore_patterns("prefect")))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FUNDMATCH_")} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),
        "FUNDMATCH_HOME": str(home),
        "FUNDMATCH_CODE": str(ROOT),
        "FUNDMATCH_CONTACT": "tests@example.org",
        "FUNDMATCH_DOWNLOAD_DELAY": "0",
    }
    with hanging() as site:
        environment |= {"FUNDMATCH_BASE_URL__SNN": site}
        with running([PREFECT, "server", "start", "--port", str(port)], environment):
            api = httpx.Client(base_url=environment["PREFECT_API_URL"], timeout=20)
            waited(lambda: answers(api), 180)
            for command in (
                ("work-pool", "create", "fundmatch", "--type", "process"),
                ("--no-prompt", "deploy", "--all"),
            ):
                done = subprocess.run(
                    [PREFECT, *command],
                    env=environment,
                    cwd=ROOT,
                    capture_output=True,
                    text=True,
                    timeout=120,
                )
                assert done.returncode == 0, done.stdout + done.stderr
            with running([PREFECT, "worker", "start", "--pool", "fundmatch"], environment):
                yield api, home


def answers(api: httpx.Client) -> bool:
    try:
        return api.get("/health").status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def hanging() -> Iterator[str]:
    """A site that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def begin(api: httpx.Client, flow: str, **parameters: Any) -> str:
    """Start a deployment now; the id of its run."""
    found = api.get(f"/deployments/name/{flow}/fundmatch").json()
    asked = found["parameters"] | parameters
    made = api.post(f"/deployments/{found['id']}/create_flow_run", json={"parameters": asked}).json()
    return str(made["id"])


def state(api: httpx.Client, run: str) -> dict[str, Any]:
    return dict(api.get(f"/flow_runs/{run}").json()["state"])


def crawls(home: Path) -> list[int]:
    """Processes that crawl for a home."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = file.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "\0crawlers\0" in told and str(home) in told:
            found.append(int(file.parent.name))
    return found


def test_the_schedules_are_those_of_amsterdam(deployed: tuple[httpx.Client, Path]) -> None:
    api, home = deployed
    for flow, cron in (("weekly", "0 5 * * 1"), ("deadlines", "0 6 * * 2-7")):
        found = api.get(f"/deployments/name/{flow}/fundmatch").json()
        ((schedule),) = [each["schedule"] for each in found["schedules"]]
        assert (schedule["cron"], schedule["timezone"]) == (cron, "Europe/Amsterdam")
        assert found["parameters"] == {"home": str(home), "send": True}
        assert found["global_concurrency_limit"]["limit"] == 1


def test_a_worker_runs_the_week_and_the_pages_show_it(deployed: tuple[httpx.Client, Path]) -> None:
    api, _ = deployed
    run = begin(api, "weekly", replay=str(SAMPLES), send=False)
    done = waited(lambda: (s := state(api, run))["type"] in ("COMPLETED", "FAILED", "CRASHED") and s, 180)
    assert done["type"] == "COMPLETED" and done["message"].startswith("run 20")
    tasks = api.post("/task_runs/filter", json={"flow_runs": {"id": {"any_": [run]}}}).json()
    assert {task["name"].rpartition("-")[0] for task in tasks} >= {
        "crawl snn",
        "normalise",
        "match",
        "publish",
    }
    shown = api.post("/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [run]}}}).json()
    assert {each["key"] for each in shown} == {"sources", "stages", "matches"}
    assert "voorbeeld-plaatwerk" in str(next(each["data"] for each in shown if each["key"] == "matches"))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")
def test_a_run_that_is_cancelled_takes_its_crawl_along(deployed: tuple[httpx.Client, Path]) -> None:
    api, home = deployed
    before = (home / "warehouse.duckdb").read_bytes()
    run = begin(api, "weekly", sources=["snn"], send=False)
    waited(lambda: crawls(home), 120)
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    api.post(f"/flow_runs/{run}/set_state", json=cancelling)
    waited(lambda: not crawls(home), 120)
    waited(lambda: state(api, run)["type"] == "CANCELLED", 60)
    assert (home / "warehouse.duckdb").read_bytes() == before


def test_without_a_server_the_schedule_brings_its_own(demo: tuple[Path, str], tmp_path: Path) -> None:
    home = Path(shutil.copytree(demo[0], tmp_path / "home", ignore=shutil.ignore_patterns("prefect")))
    environment = os.environ | {"FUNDMATCH_WEEKLY": "* * * * *", "PYTHONPATH": str(ROOT)}
    environment.pop("PREFECT_API_URL", None)
    logs = home / "logs"
    before = set(logs.iterdir())
    command = [FUNDMATCH, "--home", home, "serve", "--replay", SAMPLES, "--no-send"]
    with running(command, environment) as serving:
        whole = lambda: [f for f in set(logs.iterdir()) - before if "run published" in f.read_text("utf-8")]  # noqa: E731
        waited(lambda: serving.poll() is not None or whole(), 200)
        assert serving.poll() is None
        port = httpx.get("http://127.0.0.1:4200/api/deployments/name/weekly/fundmatch")
        assert port.status_code == 401  # only for who has the password
    assert whole() and (home / "prefect" / "password").stat().st_mode & 0o077 == 0
