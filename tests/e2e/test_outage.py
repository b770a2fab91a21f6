# SPDX-License-Identifier: Apache-2.0
"""A database that goes away while the program serves, and comes back."""
import os
import socket
import threading
import unittest
import urllib.parse

from mintd import DEADLINE, INTERNAL, POSTGRES, USERADM, Case, eventually, main, request

USER = ("alice@example.com", "correct horse")


class Relay:
    """A TCP port that leads to the socket of PostgreSQL, until it is cut."""

    def __init__(self, path):
        self.path = path
        self.lock = threading.Lock()
        self.sockets = []
        self.listener = None
        self.port = 0
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client = listener.accept()[0]
                server = socket.socket(socket.AF_UNIX)
                server.connect(self.path)
            except OSError:
                return
            with self.lock:
                self.sockets += [client, server]
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.pump, args=pair, daemon=True).start()

    @staticmethod
    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Nobody gets through any more, and who was through is thrown out."""
        with self.lock:
            for end in [self.listener] + self.sockets:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended by itself
                end.close()
            self.sockets = []


@unittest.skipUnless(POSTGRES, "MINTD_TEST_POSTGRES is not set")
class Outage(Case):
    engine = "postgres"

    def relayed(self, url):
        """The database's address by way of a relay."""
        host = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["host"][0]
        self.relay = Relay(os.path.join(host, ".s.PGSQL.5432"))
        self.addCleanup(self.relay.cut)
        return url.replace(f"host={host}", f"host=127.0.0.1&port={self.relay.port}", 1)

    def unavailable(self, reply):
        self.assertEqual((reply.status, reply.json()["error"]), (503, "service unavailable"))
        self.assertEqual(reply.headers["Retry-After"], "1")
        self.assertEqual(reply.headers["Content-Type"], "application/json; charset=utf-8")

    def test_without_its_database_it_says_so_and_recovers(self):
        self.prepare()
        server = self.serve(env={"MINTD_DB": self.relayed(self.db)})
        token = server.login(*USER)
        health = lambda: request(server.internal, "GET", INTERNAL + "/health")
        self.assertEqual(health().status, 204)
        self.relay.cut()
        self.unavailable(request(server.public, "POST", USERADM + "/auth/login", basic=USER))
        self.unavailable(request(server.internal, "DELETE", INTERNAL + "/tokens?tenant_id=t"))
        self.unavailable(request(server.public, "GET", USERADM + "/users/me", bearer=token))
        self.assertEqual(health().status, 503)
        self.assertEqual(health().json()["error"], "error reaching the database")
        self.assertEqual(request(server.internal, "GET", INTERNAL + "/alive").status, 204)
        self.assertEqual(request(server.public, "GET", "/.well-known/jwks.json").status, 200)
        self.relay.open()
        self.assertTrue(eventually(lambda: health().status == 204, DEADLINE))
        self.assertEqual(server.verify(token), 200)
        server.login(*USER)


if __name__ == "__main__":
    main()
