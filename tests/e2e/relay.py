# SPDX-License-Identifier: Apache-2.0
"""Connections passed on to an address that whoever makes them could not reach, or whose bytes a test wants to see."""
import select
import socket
import socketserver
import threading


class Relay:
    """Listens on a path or a free port of 127.0.0.1, for as long as the test runs. The target is a path or "host:port".

    received is what came back from there, a list of pieces for each connection.
    """

    def __init__(self, case, target, path=None):
        self.target = target
        self.received = []
        self.is_cut = False
        self.ends = set()
        base = socketserver.ThreadingUnixStreamServer if path else socketserver.ThreadingTCPServer
        relay = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                try:
                    if not relay.is_cut:
                        relay.pass_on(self.request)
                except (OSError, ValueError):
                    pass  # one of them went away
        self.server = base(path or ("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = path or "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(self.server.shutdown)

    def connect(self):
        if "/" not in self.target:
            host, port = self.target.split(":")
            return socket.create_connection((host, int(port)))
        there = socket.socket(socket.AF_UNIX)
        try:
            there.connect(self.target)
        except OSError:
            there.close()
            raise
        return there

    def cut(self):
        """End all connections, and whatever comes, until mend()."""
        self.is_cut = True
        for end in list(self.ends):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def mend(self):
        self.is_cut = False

    def pass_on(self, here):
        pieces = []
        self.received.append(pieces)
        with self.connect() as there:
            other = {there: here, here: there}
            self.ends.update(other)
            while True:
                for end in select.select(list(other), [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is there:
                        pieces.append(data)
                    other[end].sendall(data)
