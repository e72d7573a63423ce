"""Supervision: who starts an actor, and what happens when it dies."""

from ._child import ChildInfo, ChildStatus
from ._dynamic import DynamicSupervisor
from ._errors import (
    ChildDeclined,
    ChildExists,
    ChildNotFound,
    ChildRunning,
    SupervisionFailed,
    SupervisorError,
    TooManyChildren,
)
from ._family import ChildCounts
from ._intensity import Backoff, Intensity
from ._spec import BRUTAL_KILL, ChildSpec, Restart
from ._strategy import AutoShutdown, Strategy
from ._supervisor import Supervisor
from ._system import ActorSystem

__all__ = [
    "BRUTAL_KILL",
    "ActorSystem",
    "AutoShutdown",
    "Backoff",
    "ChildCounts",
    "ChildDeclined",
    "ChildExists",
    "ChildInfo",
    "ChildNotFound",
    "ChildRunning",
    "ChildSpec",
    "ChildStatus",
    "DynamicSupervisor",
    "Intensity",
    "Restart",
    "Strategy",
    "SupervisionFailed",
    "Supervisor",
    "SupervisorError",
    "TooManyChildren",
]
