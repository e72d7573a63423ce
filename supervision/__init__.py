"""Supervision: who starts an actor, and what happens when it dies."""

from ._child import ChildInfo, ChildStatus
from ._dynamic import DynamicSupervisor
from ._errors import (
    ChildDeclined,
    ChildExists,
    ChildNotFound,
    ChildRunning,
    NoPartition,
    SupervisionFailed,
    SupervisorError,
    TooManyChildren,
)
from ._failure import Failure
from ._family import ChildCounts
from ._intensity import Backoff, Intensity
from ._partition import PartitionSupervisor
from ._router import Router
from ._routing import Routing
from ._signals import SignalsUnavailable, receive_signals
from ._spec import BRUTAL_KILL, ChildSpec, Restart
from ._strategy import AutoShutdown, Strategy
from ._stream import ItemFailed, OnFailure, Stream
from ._supervisor import Supervisor
from ._system import ActorSystem
from ._tasks import Task, TaskSupervisor
from ._tree import NodeFlag, Ring, Tree, TreeNode, TreeOptions, WaitsFor
from ._watch import (
    FlagCleared,
    FlagRaised,
    LevelChanged,
    SystemEvent,
)

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
    "Failure",
    "FlagCleared",
    "FlagRaised",
    "Intensity",
    "ItemFailed",
    "LevelChanged",
    "NoPartition",
    "NodeFlag",
    "OnFailure",
    "PartitionSupervisor",
    "Restart",
    "Ring",
    "Router",
    "Routing",
    "SignalsUnavailable",
    "Strategy",
    "Stream",
    "SupervisionFailed",
    "Supervisor",
    "SupervisorError",
    "SystemEvent",
    "Task",
    "TaskSupervisor",
    "TooManyChildren",
    "Tree",
    "TreeNode",
    "TreeOptions",
    "WaitsFor",
    "receive_signals",
]
