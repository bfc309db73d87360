"""What all HTTP handlers share: JSON in and out, the shape of errors, who may do what."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeVar, cast

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado import web

from notebook_exec.core.model import (
    Conflict,
    InvalidInput,
    Json,
    KernelStartError,
    LimitExceeded,
    NotebookExecError,
    NotFound,
    User,
)

from .services import SETTINGS_KEY, NotStartedError, Services

Method = TypeVar("Method", bound=Callable[..., Awaitable[None]])

_REASONS = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "limit",
    429: "limit",
    503: "not_ready",
}
_TOO_LARGE = ("body", "cells", "source", "code", "value")


def status_of(error: NotebookExecError) -> int:
    """The HTTP status that tells a domain error."""
    if isinstance(error, InvalidInput):
        return 400
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Conflict):
        return 409
    if isinstance(error, LimitExceeded):
        # What the request itself has too much of is 413; what others have filled is 429.
        return 413 if (error.field or "").split("[")[0] in _TOO_LARGE else 429
    if isinstance(error, KernelStartError):
        return 503
    return 500


def error_body(error: NotebookExecError) -> dict[str, Json]:
    """The JSON that tells a domain error (A5)."""
    body: dict[str, Json] = {"message": error.message, "reason": error.reason}
    if error.field is not None:
        body["field"] = error.field
    if isinstance(error, Conflict) and error.current is not None:
        body["current"] = dict(error.current)
    if isinstance(error, KernelStartError):
        body["log_tail"] = error.log_tail
    return body


def user_of(handler: JupyterHandler) -> User:
    """Who makes the request, as the identity provider says."""
    user = handler.current_user
    return User(username=user.username, display_name=user.display_name or user.username)


def scope_of(handler: JupyterHandler) -> str:
    """Within what the names that a client makes up are unique: those of its user.

    Whoever shows the token without a cookie gets another name each time, so that all of them
    share one scope.
    """
    if handler.token_authenticated:
        cookie = handler.identity_provider.get_cookie_name(handler)
        if handler.get_signed_cookie(cookie) is None:
            return ""
    return user_of(handler).username


async def may(handler: JupyterHandler, action: str, resource: str) -> bool:
    """Whether Jupyter's Authorizer lets the user do ``action`` on ``resource``."""
    allowed = handler.authorizer.is_authorized(handler, handler.current_user, action, resource)
    return bool(await ensure_async(allowed))


def allowed(action: str, resource: str) -> Callable[[Method], Method]:
    """Let authenticated users in who may do ``action`` on ``resource`` (S1)."""

    def decorate(method: Method) -> Method:
        guarded: Any = authorized(action, resource)
        return cast(Method, web.authenticated(guarded(method)))

    return decorate


def ws_allowed(action: str, resource: str) -> Callable[[Method], Method]:
    """As ``allowed``, for websockets, where nobody is sent to the login page."""

    def decorate(method: Method) -> Method:
        guarded: Any = authorized(action, resource)
        return cast(Method, ws_authenticated(guarded(method)))

    return decorate


class WithServices:
    """A handler that finds what it works on in the web application's settings."""

    settings: dict[str, Any]

    @property
    def services(self) -> Services:
        """The engine, the documents and the settings."""
        services: Services = self.settings[SETTINGS_KEY]
        return services


class ApiHandler(WithServices, APIHandler):
    """A handler that answers in JSON, errors too, and waits until all is started."""

    async def prepare(self) -> None:  # type: ignore[override]  # as APIHandler itself
        """Authenticate, then wait for the engine."""
        await super().prepare()
        if not self.services.is_started:
            await self.services.wait_started()

    @property
    def user(self) -> User:
        """Who makes the request."""
        return user_of(self)

    @property
    def scope(self) -> str:
        """Within what the names that a client makes up are unique."""
        return scope_of(self)

    def set_secure_cookie(self, name: str, value: str | bytes, *args: Any, **kwargs: Any) -> None:
        """Nothing for who shows the token with each request: no login has to be remembered.

        jupyter_server signs a new one for each such request, and none of them ever comes back.
        """
        if "Authorization" not in self.request.headers:
            super().set_secure_cookie(name, value, *args, **kwargs)

    def json_object(self) -> dict[str, Json]:
        """The body, which must be a JSON object. InvalidInput, LimitExceeded."""
        return parse_object(self.request.body, self.services.settings.max_body_bytes)

    def query(self, name: str) -> str | None:
        """A query argument, None if it is not given. InvalidInput if it is no clean text."""
        values = self.request.query_arguments.get(name)
        if not values:
            return None
        try:
            value = values[-1].decode("utf-8")
        except UnicodeDecodeError:
            raise InvalidInput(f"{name} is not UTF-8", field=name) from None
        if "\0" in value:
            raise InvalidInput(f"{name} holds a NUL character", field=name)
        return value

    def reply(self, body: Json, status: int = 200) -> None:
        """Answer with ``body`` as JSON."""
        self.set_status(status)
        self.finish(json.dumps(body))

    # Errors come as exceptions from anywhere below; tornado hands all of them to send_error.

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Give domain errors their own status."""
        super().send_error(_status_of_any(_error_in(kwargs), status_code), **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer ``{"message", "reason", "field"?}``."""
        self.finish(json.dumps(_body_of_any(_error_in(kwargs), status_code)))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """What the caller did wrong is no error of ours, and may hold what must not be logged."""
        if isinstance(value, NotebookExecError) and status_of(value) < 500:
            self.log.debug("%s %s: %s", self.request.method, self.request.path, value.reason)
            return
        super().log_exception(typ, value, tb)

    def update_api_activity(self) -> None:
        """As jupyter_server does, but whatever the query holds."""
        try:
            super().update_api_activity()
        except web.HTTPError:
            # no_track_activity was no UTF-8; raised again while the answer is finished, it would
            # turn it into a 500.
            self.log.debug("no_track_activity cannot be read")


def _error_in(kwargs: dict[str, Any]) -> BaseException | None:
    exc_info = kwargs.get("exc_info")
    return exc_info[1] if exc_info else None


def told(error: BaseException) -> tuple[int, dict[str, Json]]:
    """Status and body that tell any error (A5)."""
    status_code = _status_of_any(
        error, error.status_code if isinstance(error, web.HTTPError) else 500
    )
    return status_code, _body_of_any(error, status_code)


def _status_of_any(error: BaseException | None, otherwise: int) -> int:
    if isinstance(error, NotebookExecError):
        return status_of(error)
    return 503 if isinstance(error, NotStartedError) else otherwise


def _body_of_any(error: BaseException | None, status_code: int) -> dict[str, Json]:
    if isinstance(error, NotebookExecError):
        return error_body(error)
    return {
        "message": _message(status_code, error),
        "reason": _REASONS.get(status_code, "error"),
    }


def _message(status_code: int, error: BaseException | None) -> str:
    if isinstance(error, web.HTTPError) and error.log_message:
        try:
            return error.log_message % error.args if error.args else error.log_message
        except (TypeError, ValueError):
            return error.log_message
    if isinstance(error, NotStartedError):
        return str(error)
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return "Unknown error"


def parse_object(body: bytes, max_bytes: int) -> dict[str, Json]:
    """Parse a JSON object. InvalidInput and LimitExceeded name the field ``body``."""
    if len(body) > max_bytes:
        raise LimitExceeded(f"the body has more than {max_bytes} bytes", field="body")
    if not body.strip():
        raise InvalidInput("the body is empty, it must be a JSON object", field="body")
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise InvalidInput("the body is not UTF-8", field="body") from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply", field="body") from None
    except json.JSONDecodeError as error:
        text = f"the body is not JSON: {error.msg}, line {error.lineno} column {error.colno}"
        raise InvalidInput(text, field="body") from None
    except ValueError as error:  # a constant that JSON does not have, a number too long to read
        raise InvalidInput(f"the body is not JSON: {error}", field="body") from None
    if not isinstance(value, dict):
        raise InvalidInput("the body must be a JSON object", field="body")
    return value


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is not a JSON value")
