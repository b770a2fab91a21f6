# SPDX-License-Identifier: Apache-2.0
"""Two servers on one database: what one of them, or a command, revokes is refused by the other within a second."""
import re
import time

import mintd
from mintd import USERADM, Case, both_engines, eventually, psql, request

BOUND = 1.0  # seconds


class Pair(Case):
    def setUp(self):
        super().setUp()
        self.user = self.prepare()
        self.one = self.serve()
        self.two = self.serve()

    def metric(self, server, name):
        text = request(server.internal, "GET", "/metrics").text
        return float(re.search("^" + re.escape(name) + r" (\S+)$", text, re.M).group(1))

    def hot_token(self):
        """A token that both servers know to be alive."""
        token = self.one.login("alice@example.com", "correct horse")
        for server in (self.one, self.two):
            self.assertEqual(server.verify(token), 200)
            self.assertEqual(server.verify(token), 200)
        return token

    def refused_in_time(self, server, token):
        start = time.monotonic()
        self.assertTrue(eventually(lambda: server.verify(token) == 401), "it is never refused")
        self.assertLess(time.monotonic() - start, BOUND)

    def feed_is_up(self):
        return all(self.metric(server, "mintd_token_feed_up") == 1 for server in (self.one, self.two))


@both_engines
class TwoServers(Pair):
    def test_a_token_stays_alive_without_asking(self):
        self.assertTrue(eventually(self.feed_is_up))
        token = self.hot_token()
        asked = 'mintd_liveness_answers_total{source="database"}'
        before = self.metric(self.two, asked)
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            self.assertEqual(self.two.verify(token), 200)
        # one more is forgiven: a machine under load may keep the log from being read in time
        self.assertLessEqual(self.metric(self.two, asked), before + 1)

    def test_a_logout_is_seen_by_the_other_server(self):
        for _ in range(3):
            token = self.hot_token()
            self.assertEqual(request(self.one.public, "POST", USERADM + "/auth/logout", bearer=token).status, 202)
            self.assertEqual(self.one.verify(token), 401)
            self.refused_in_time(self.two, token)

    def test_commands_are_seen_by_both_servers(self):
        token = self.hot_token()
        self.mintd("user", "set-password", "--email", "alice@example.com", "--password", "battery staple")
        self.refused_in_time(self.one, token)
        self.refused_in_time(self.two, token)

    def test_a_deleted_user_is_seen_by_the_other_server(self):
        token = self.hot_token()
        admin = self.mintd("user", "create", "--email", "bob@example.com", "--password", "correct horse")
        bearer = self.one.login("bob@example.com", "correct horse")
        self.assertTrue(admin)
        reply = request(self.one.public, "DELETE", f"{USERADM}/users/{self.user}", bearer=bearer)
        self.assertEqual(reply.status, 204)
        self.assertEqual(self.one.verify(token), 401)
        self.refused_in_time(self.two, token)


class CutConnection(Pair):
    engine = "postgres"

    def test_the_database_is_asked_until_the_connection_is_back(self):
        self.assertTrue(eventually(self.feed_is_up))
        for _ in range(2):
            token = self.hot_token()
            psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT seq, token_id%'"
                 " AND pid <> pg_backend_pid()")
            reply = request(self.one.public, "POST", USERADM + "/auth/logout", bearer=token)
            self.assertEqual(reply.status, 202)
            self.refused_in_time(self.two, token)
            self.two.wait_line("warn", "revocations by other processes are not heard of")
            self.two.wait_line("info", "revocations by other processes are heard of again")
            self.assertTrue(eventually(self.feed_is_up))
            self.two.log.clear()


if __name__ == "__main__":
    mintd.main()
