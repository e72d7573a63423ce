"""Actors: private state, reached only through a mailbox."""

from ._actor import Actor, Context
from ._ask import Ask, Reply, Request, current
from ._batch import Batch
from ._belongings import KILL_GRACE
from ._burial import asks_fail_with
from ._capacity import MailboxOptions, MailboxOwner, MailboxStatistics, Overflow
from ._cell import UNSUPERVISED, Cell, Parent
from ._dead_letters import DeadLetter, DeadLetters, Undelivered
from ._deadlines import check_timeout
from ._directory import Entry, Joined, Left, Registered, RegistryEvent, Unregistered
from ._errors import (
    ActorCrashed,
    ActorError,
    ActorNotAlive,
    AskCycle,
    AskTimeout,
    Decline,
    MailboxFull,
    NameTaken,
    NotOwner,
    SendTimeout,
    StartError,
    StashFull,
    UnknownName,
)
from ._exit import (
    Crashed,
    Declined,
    ExitReason,
    GaveUp,
    Killed,
    Normal,
    Shutdown,
    StartFailed,
    error_of,
    is_abnormal,
)
from ._incarnation import State
from ._line import Sender
from ._locks import Lock
from ._mailbox import NOTHING, Mailbox
from ._named import NamedRef
from ._parking import Gate
from ._ref import ActorRef, Down, Monitor
from ._registry import Registry
from ._report import CrashReport
from ._request import PendingReply, Replies, Requested, commit
from ._room import NO_QUEUE
from ._runtime import Runtime, run_actors, simulation
from ._timers import Timer

__all__ = [
    "KILL_GRACE",
    "NOTHING",
    "NO_QUEUE",
    "UNSUPERVISED",
    "Actor",
    "ActorCrashed",
    "ActorError",
    "ActorNotAlive",
    "ActorRef",
    "Ask",
    "AskCycle",
    "AskTimeout",
    "Batch",
    "Cell",
    "Context",
    "CrashReport",
    "Crashed",
    "DeadLetter",
    "DeadLetters",
    "Decline",
    "Declined",
    "Down",
    "Entry",
    "ExitReason",
    "Gate",
    "GaveUp",
    "Joined",
    "Killed",
    "Left",
    "Lock",
    "Mailbox",
    "MailboxFull",
    "MailboxOptions",
    "MailboxOwner",
    "MailboxStatistics",
    "Monitor",
    "NameTaken",
    "NamedRef",
    "Normal",
    "NotOwner",
    "Overflow",
    "Parent",
    "PendingReply",
    "Registered",
    "Registry",
    "RegistryEvent",
    "Replies",
    "Reply",
    "Request",
    "Requested",
    "Runtime",
    "SendTimeout",
    "Sender",
    "Shutdown",
    "StartError",
    "StartFailed",
    "StashFull",
    "State",
    "Timer",
    "Undelivered",
    "UnknownName",
    "Unregistered",
    "asks_fail_with",
    "check_timeout",
    "commit",
    "current",
    "error_of",
    "is_abnormal",
    "run_actors",
    "simulation",
]
