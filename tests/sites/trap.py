"""A place that no page may reach: it notes every connection and every datagram that arrives."""

from __future__ import annotations

import selectors
import socket
import threading


class Trap:
    """Listens on one port of 127.0.0.1 and ::1 (where there is IPv6), TCP and UDP; `caught` says what came."""

    def __init__(self) -> None:
        self.caught: list[str] = []
        self._stop, self._stopper = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stop, selectors.EVENT_READ)
        first = self._listen(socket.AF_INET, "127.0.0.1", 0, socket.SOCK_STREAM)
        self.port: int = first.getsockname()[1]
        self._listen(socket.AF_INET, "127.0.0.1", self.port, socket.SOCK_DGRAM)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            if socket.has_ipv6:
                try:
                    self._listen(socket.AF_INET6, "::1", self.port, kind)
                except OSError:  # no ::1 on this machine
                    break
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopper.send(b"x")
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()
        self._stopper.close()

    def _listen(self, family: int, address: str, port: int, kind: int) -> socket.socket:
        listener = socket.socket(family, kind)
        try:
            listener.bind((address, port))
        except OSError:
            listener.close()
            raise
        if kind == socket.SOCK_STREAM:
            listener.listen()
        self._selector.register(listener, selectors.EVENT_READ)
        return listener

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                listener = key.fileobj
                assert isinstance(listener, socket.socket)
                if listener is self._stop:
                    return
                if listener.type == socket.SOCK_DGRAM:
                    self.caught.append(f"UDP {listener.recv(200)[:80]!r}")
                else:
                    with listener.accept()[0] as connection:
                        connection.settimeout(0.5)
                        try:
                            self.caught.append(f"TCP {connection.recv(200)[:80]!r}")
                        except OSError as error:
                            self.caught.append(f"TCP connection, then {error!r}")
