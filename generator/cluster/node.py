"""Ray's processes on one machine, started in the process that calls this. The only module that knows Ray's own parts.

``ray start`` does the same, and also starts a monitor for clouds and a web server. Neither is needed here, and both
cost memory and seconds. What is used of Ray here is not public, so the version is pinned.
"""

import logging
import os
import shutil
from collections.abc import Mapping
from typing import Any

import psutil

from generator.cluster.messages import Place

log = logging.getLogger(__name__)

# Each process that listens has its port, counted from the main one, so that a firewall can name them. Workers take any
# of the last ones.
PORTS = 50
_WORKERS_FROM = 10

# How long a machine, or the server's driver, looks for a main machine that it lost before it ends and starts anew.
_LOST_AFTER_S = 10


def environment(place: Place) -> Mapping[str, str]:
    """What Ray's processes must find in their environment, before Ray is imported."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(place.token_file),
        # Nothing is reported to anybody.
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_enable_metrics_collection": "0",
        # Photos and pictures do not go to disk.
        "RAY_automatic_object_spilling_enabled": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(_LOST_AFTER_S),
        "RAY_health_check_period_ms": "1000",
        "RAY_kill_worker_timeout_milliseconds": "500",
        "RAY_enable_worker_prestart": "0",
        # A worker sees the cards that its machine's settings name, and uses its cores as they say.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0)))),
    }


def start(place: Place, main: str | None = None) -> Any:
    """Start this machine's part of the cluster that ``main`` leads, or lead one. Returns Ray's node."""
    import ray
    from ray._private import node, services
    from ray._private.parameter import RayParams

    class Node(node.Node):  # type: ignore[misc]  # Ray's classes are Any here
        def start_api_server(self, **_: object) -> None:
            """Start no web server."""

    _end_agents_with_raylet(services)
    port = place.port
    params = RayParams(
        gcs_address=main,
        gcs_server_port=None if main else port,
        node_ip_address=place.address,
        node_manager_port=port + 1,
        object_manager_port=port + 2,
        runtime_env_agent_port=port + 3,
        metrics_agent_port=port + 4,
        dashboard_agent_listen_port=port + 5,
        metrics_export_port=port + 6,
        min_worker_port=port + _WORKERS_FROM,
        max_worker_port=port + PORTS - 1,
        num_cpus=0,
        num_gpus=0,
        object_store_memory=place.store_bytes,
        include_dashboard=False,
        include_log_monitor=False,
        no_monitor=True,
        temp_dir=str(place.folder),
    )
    started = Node(params, head=main is None, shutdown_at_exit=False, spawn_reaper=True, connect_only=False)
    # Otherwise Ray would take the address of a network for 127.0.0.1.
    ray._private.worker._global_node = started
    return started


def died(node: Any) -> bool:
    """Whether one of its processes has ended."""
    return bool(node.dead_processes())


def stop(node: Any) -> None:
    node.kill_all_processes(check_alive=False, allow_graceful=True)


def warn_of_open_sockets(address: str) -> None:
    """Log where Ray's processes listen beyond ``address``. A firewall, or the service's unit, must close that."""
    ports = set()
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections("tcp"):
            host = connection.laddr.ip.removeprefix("::ffff:") if connection.laddr else ""
            if connection.status == psutil.CONN_LISTEN and host != address:
                ports.add(f"{host}:{connection.laddr.port}")
    if ports:
        where = ", ".join(sorted(ports))
        log.warning("Ray listens beyond %s, on %s: let only the cluster's machines in", address, where)


def _end_agents_with_raylet(services: Any) -> None:
    """Let the kernel end two helpers of raylet with it; by themselves they stay for another minute."""
    name = "_build_python_executable_command_memory_profileable"
    build, setpriv = getattr(services, name), shutil.which("setpriv")
    if setpriv is None or getattr(build, "ends_with_raylet", False):
        return

    def build_ending(*arguments: Any, **options: Any) -> list[str]:
        return [setpriv, "--pdeathsig", "KILL", *build(*arguments, **options)]

    build_ending.ends_with_raylet = True  # type: ignore[attr-defined]
    setattr(services, name, build_ending)
