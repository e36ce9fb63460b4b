"""The one taxonomy of failures.

Every failure that a user, an operator or another service can see is a `VitrineError`. It is *permanent* (trying again
changes nothing) or *transient* (trying again may help), and it has a `code` from the closed set `BY_CODE`, so that
metrics, statuses and the runbook can name it. `services/api/errors.py` maps it to HTTP, `services/renderer/actors.py`
to retries.

A message says what failed, why, and how to mend it. It is shown to users: it never holds a credential.
"""

from __future__ import annotations

from shared.error_kinds import PermanentError as PermanentError
from shared.error_kinds import Span as Span
from shared.error_kinds import SqlFault
from shared.error_kinds import TransientError as TransientError
from shared.error_kinds import VitrineError as VitrineError

# Asked wrongly


class InvalidInput(PermanentError):
    """A request, message, file or setting does not have the form it must have."""

    code = "invalid_input"


class NotFound(PermanentError):
    """No such object, or the principal may not see it: the two look the same on purpose."""

    code = "not_found"


class Unauthenticated(PermanentError):
    """No credential, or one that does not hold."""

    code = "unauthenticated"


class Forbidden(PermanentError):
    """A known principal asks for an action that needs another role."""

    code = "forbidden"


class TooManyRequests(TransientError):
    """The caller must slow down, and may try again after `retry_after_s` seconds."""

    code = "too_many_requests"

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class UnknownVersion(PermanentError):
    """A message, or a result set, of a newer release than this process understands."""

    code = "unknown_version"


class ExecutorNotFound(PermanentError):
    """None of the configured executors resolves for this target."""

    code = "executor_not_found"


class QueryRefused(SqlFault):
    """SQL that cannot be parsed, writes, or reads what it may not."""

    code = "query_refused"


class QueryFailed(SqlFault):
    """The database answered a query with an error."""

    code = "query_failed"


class QueryTimedOut(PermanentError):
    """A query took longer than it may, and was cancelled in its database."""

    code = "query_timed_out"


class QueryCancelled(PermanentError):
    """A query was cancelled in its database: by whoever asked for it, or by the database's operator."""

    code = "query_cancelled"


class QueryTooCostly(PermanentError):
    """The database expects a query to cost more than its catalog entry allows; it was not run."""

    code = "query_too_costly"

    def __init__(self, message: str, *, cost: float, max_cost: float) -> None:
        super().__init__(message)
        self.cost = cost  # as the database estimates it, in its own units
        self.max_cost = max_cost


class WorkerLost(TransientError):
    """The worker that ran a query died, or was shut down; the query may have written."""

    code = "worker_lost"


class SecretUnreadable(PermanentError):
    """A secret of the metadata database cannot be decrypted with the keys of the settings."""

    code = "secret_unreadable"


# A picture that could not be made


class ChartFailed(PermanentError):
    """A chart of the page ended in its own error state."""

    code = "chart_failed"


class NavigationFailed(TransientError):
    """The page did not load: the origin is unreachable or answered 5xx."""

    code = "navigation_failed"


class PageRefused(PermanentError):
    """The origin answered 4xx, or with a page that is no chart (an error page)."""

    code = "page_refused"


class LoginPage(PermanentError):
    """The page shown is a login page: the executor is not signed in."""

    code = "login_page"


class EgressDenied(PermanentError):
    """The page went to a place outside the catalog's allow-list."""

    code = "egress_denied"


class NotReady(PermanentError):
    """The page never reached readiness within the deadline."""

    code = "not_ready"


class DeadlineExceeded(PermanentError):
    """The deadline passed before the render began or ended."""

    code = "deadline_exceeded"


class Cancelled(PermanentError):
    """An operator cancelled it."""

    code = "cancelled"

    @classmethod
    def by_operator(cls) -> Cancelled:
        """Of a render."""
        return cls("An operator cancelled this render.")


class BlankPicture(PermanentError):
    """The screenshot is uniform or has the wrong size."""

    code = "blank_picture"


class BrowserCrashed(TransientError):
    """The browser, its page, or Playwright's driver died under the render."""

    code = "browser_crashed"


class BrowserUnavailable(TransientError):
    """No browser could be started, or none became free in time."""

    code = "browser_unavailable"


class NotKept(PermanentError):
    """What was computed cannot be read back from the store."""

    code = "not_kept"


# Rows of a long query


class ResultsGone(PermanentError):
    """The rows of a query are not kept any more, not all of them, or not as they were written."""

    code = "results_gone"


class ResultTooLarge(PermanentError):
    """A result set is larger than may be kept, by `over_bytes` at least."""

    code = "result_too_large"

    def __init__(self, message: str, *, over_bytes: int) -> None:
        super().__init__(message)
        self.over_bytes = over_bytes


class ProcessesDisagree(TransientError):
    """A query read other rows than the gateway looks for, again and again: other versions or settings of the two."""

    code = "processes_disagree"


# A dependency that does not answer


class BrokerUnavailable(TransientError):
    """RabbitMQ did not confirm the message."""

    code = "broker_unavailable"


class StoreUnavailable(TransientError):
    """The store does not answer."""

    code = "store_unavailable"


class ResultsUnavailable(TransientError):
    """The results backend does not answer, or did not keep what it was given."""

    code = "results_unavailable"


class DatabaseUnavailable(TransientError):
    """The metadata database, or a catalog's database, does not answer."""

    code = "database_unavailable"


class CatalogUnavailable(TransientError):
    """The origin of a catalog does not answer."""

    code = "catalog_unavailable"


class CatalogSignIn(PermanentError):
    """The origin of a catalog does not accept what the settings sign in with: a changed password, another key."""

    code = "catalog_sign_in"


# A fault of ours


class Internal(PermanentError):
    """A fault of ours; the log holds the traceback under the correlation id."""

    code = "internal"


def _leaves(cls: type[VitrineError]) -> list[type[VitrineError]]:
    return [leaf for sub in cls.__subclasses__() for leaf in ([sub] if not sub.__subclasses__() else _leaves(sub))]


BY_CODE: dict[str, type[VitrineError]] = {leaf.code: leaf for leaf in _leaves(VitrineError)}
