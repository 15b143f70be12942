"""Runs the server of the page until it is interrupted."""

import socket
from collections.abc import Callable

import uvicorn

from ranet_jax.errors import InputError
from ranet_jax.web.app import create_app
from ranet_jax.web.tabs import Settings

_CLOSING = 3  # seconds that open tabs get at the end


def serve(settings: Settings, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serves the page.

    Args:
        settings: of the page.
        host: name or address of this machine to listen at.
        port: to listen at; any free one if 0.
        tell: told the link as soon as it works.

    Raises:
        InputError: one cannot listen there.
    """
    with _listen(host, port) as listening:
        config = uvicorn.Config(
            create_app(settings),
            log_level="warning",
            access_log=False,
            ws="websockets-sansio",
            timeout_graceful_shutdown=_CLOSING,
        )
        name = f"[{host}]" if ":" in host else host
        tell(f"http://{name}:{listening.getsockname()[1]}/{settings.token}/")
        uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    if not host:  # to the system it means every address of this machine
        raise InputError("--host is empty; give an address, 0.0.0.0 to let other machines in.")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Cannot listen at port {port} of {host} ({reason}); choose another --port or --host."
        ) from error
    return listening
