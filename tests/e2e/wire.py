"""A network between a client and a server, which can be cut while both are alive."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support import LiveServer


class Wire:
    """Carries every connection to the server.

    Attributes:
        url: The server's, by way of this.
    """

    def __init__(self, listener: socket.socket, server: tuple[str, int]) -> None:
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._listener = listener
        self._server = server
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._server)
                self._ends += [near, far]
                for ends in ((near, far), (far, near)):
                    self._threads.append(threading.Thread(target=_carry, args=ends))
                    self._threads[-1].start()

    def cut(self) -> None:
        """What is under way is lost, and nobody says goodbye; new connections are carried."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """For good."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        for thread in self._threads:
            thread.join()
        for end in self._ends:
            end.close()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire_to(server: LiveServer) -> Iterator[Wire]:
    """One that is gone when the context is left."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener, (host, int(port)))
        try:
            yield wire
        finally:
            wire.close()
