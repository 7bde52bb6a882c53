"""Says an error in a sentence that the user of the page can do something with."""

from __future__ import annotations

import vpsorg_async as vps


_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (vps.AuthenticationError, "The API does not accept the token of this dashboard."),
    (vps.PermissionDeniedError, "The token of this dashboard does not allow that."),
    (vps.InsufficientCreditsError, "The account does not have enough credits."),
    (vps.NotFoundError, "There is no such server any more."),
    (vps.ServerGoneError, "The server was deleted in the meantime."),
    (vps.RateLimitError, "The API is asked too often at the moment. Try again in a minute."),
    (vps.OutcomeUnknownError, "The API did not answer. Look at the server before you try again."),
    (vps.WaitFailedError, "The API does not answer. How it ended is not known."),
    (vps.WaitTimeoutError, "It takes longer than 15 minutes. The table shows how it goes on."),
    (vps.APIConnectionError, "The API cannot be reached at the moment."),
    (vps.ResponseError, "The API gave an answer that cannot be read. Look at the server before you try again."),
    (vps.ServerError, "The API has a problem of its own. Try again later."),
)


def sentence(error: BaseException) -> str:
    """Return what to tell of *error*: the API's own reason for a refusal, and else this page's words."""
    if isinstance(error, vps.BadRequestError):
        reasons = [f"{name}: {text}" for name, texts in (error.fields or {}).items() for text in texts]
        return " ".join(reasons) or error.message or "The API refused it without a reason."
    if isinstance(error, vps.UnexpectedStatusError) and error.server is not None:
        return f"It ended as {error.server.status} instead."
    found = next((text for kind, text in _SENTENCES if isinstance(error, kind)), None)
    return found or "Something went wrong. The log of the dashboard says what."
