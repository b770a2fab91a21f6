# SPDX-License-Identifier: Apache-2.0
"""Devices that ask for tokens: their keys, their signed requests, and their admission."""
import base64
import json
import os
import subprocess

from servers import call

ASK = "/api/devices/v1/authentication/auth_requests"
DEVICES = 32

# How openssl makes such a key, how many of them the devices share (RSA keys take long to make), and how it signs.
KINDS = {
    "es256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], DEVICES, ["-digest", "sha256"]),
    "ed25519": (["-algorithm", "ED25519"], DEVICES, []),
    "rsa2048": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], 4, ["-digest", "sha256"]),
    "rsa3072": (["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"], 2, ["-digest", "sha256"]),
}


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, timeout=60).stdout


class Fleet:
    """Devices with keys of one kind: KIND.asks in folder is what wrk sends, KIND.devices what the operator imports."""

    def __init__(self, folder, kind):
        self.kind = kind
        self.asks = os.path.join(folder, kind + ".asks")
        self.list = os.path.join(folder, kind + ".devices")
        make, count, sign = KINDS[kind]
        keys = [os.path.join(folder, f"{kind}.{n}.pem") for n in range(count)]
        for key in keys:
            openssl("genpkey", *make, "-out", key)
        public = [openssl("pkey", "-in", key, "-pubout").decode() for key in keys]
        with open(self.asks, "w") as asks, open(self.list, "w") as devices:
            for n in range(DEVICES):
                identity = {"mac": "02:00:00:00:%02x:%02x" % (list(KINDS).index(kind), n)}
                body = json.dumps({"id_data": json.dumps(identity), "pubkey": public[n % count]})
                with open(self.asks + ".body", "w") as file:
                    file.write(body)
                signature = openssl("pkeyutl", "-sign", "-rawin", "-in", self.asks + ".body", "-inkey", keys[n % count],
                                    *sign)
                asks.write(base64.b64encode(signature).decode() + "\t" + body + "\n")
                devices.write(json.dumps({"identity_data": identity, "pubkey": public[n % count]}) + "\n")

    def admit(self, mintd):
        """Have all devices accepted: they are in the list, and ask once."""
        mintd.run("device", "import", self.list)
        with open(self.asks) as file:
            for line in file:
                signature, body = line.rstrip("\n").split("\t")
                status, text, _ = call(mintd.public + ASK, "POST",
                                       {"X-MEN-Signature": signature, "Content-Type": "application/json"}, body)
                assert status == 200, text

    def wrk(self):
        """What load() needs to send the requests."""
        return dict(script="asks.lua", arguments=[self.asks])
