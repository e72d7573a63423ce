"""Actors: private state, reached only through a mailbox."""

from ._actor import Actor, Context
from ._ask import Ask, Reply, Request
from ._belongings import KILL_GRACE
from ._capacity import MailboxOptions, MailboxOwner, MailboxStatistics, Overflow
from ._cell import UNSUPERVISED, Cell, Parent
from ._dead_letters import DeadLetter, DeadLetters, Undelivered
from ._directory import Joined, Left, Registered, RegistryEvent, Unregistered
from ._errors import (
    ActorCrashed,
    ActorError,
    ActorNotAlive,
    AskCycle,
    AskTimeout,
    Decline,
    MailboxFull,
    NameTaken,
    SendTimeout,
    StartError,
    StashFull,
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
from ._mailbox import NOTHING, Mailbox
from ._parking import Gate
from ._ref import ActorRef, Down, Monitor
from ._registry import Registry
from ._runtime import Runtime, run_actors
from ._timers import Timer

__all__ = [
    "KILL_GRACE",
    "NOTHING",
    "UNSUPERVISED",
    "Actor",
    "ActorCrashed",
    "ActorError",
    "ActorNotAlive",
    "ActorRef",
    "Ask",
    "AskCycle",
    "AskTimeout",
    "Cell",
    "Context",
    "Crashed",
    "DeadLetter",
    "DeadLetters",
    "Decline",
    "Declined",
    "Down",
    "ExitReason",
    "Gate",
    "GaveUp",
    "Joined",
    "Killed",
    "Left",
    "Mailbox",
    "MailboxFull",
    "MailboxOptions",
    "MailboxOwner",
    "MailboxStatistics",
    "Monitor",
    "NameTaken",
    "Normal",
    "Overflow",
    "Parent",
    "Registered",
    "Registry",
    "RegistryEvent",
    "Reply",
    "Request",
    "Runtime",
    "SendTimeout",
    "Shutdown",
    "StartError",
    "StartFailed",
    "StashFull",
    "State",
    "Timer",
    "Undelivered",
    "Unregistered",
    "error_of",
    "is_abnormal",
    "run_actors",
]
