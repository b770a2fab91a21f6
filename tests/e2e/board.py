# SPDX-License-Identifier: Apache-2.0
"""A device as the server sees it: an identity, a key, and requests that the key signed."""
import base64
import json
import os
import subprocess

KINDS = {
    "ed25519": ["-algorithm", "ED25519"],
    "es256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
}


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, check=True, capture_output=True, timeout=30).stdout


class Board:
    def __init__(self, key, kind, **identity):
        """key is a file; a new key is made when there is none."""
        self.key, self.kind, self.identity = key, kind, identity
        if not os.path.exists(key):
            openssl("genpkey", *KINDS[kind], "-out", key)
        self.pubkey = openssl("pkey", "-in", key, "-pubout").decode()

    def sign(self, body):
        """In base64, as X-MEN-Signature has it."""
        if self.kind != "ed25519":
            return base64.b64encode(openssl("dgst", "-sha256", "-sign", self.key, data=body)).decode()
        with open(self.key + ".body", "wb") as file:
            file.write(body)
        return base64.b64encode(openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", file.name)).decode()

    def request(self, **more):
        """Body and headers of a request for a token."""
        body = json.dumps({"id_data": json.dumps(self.identity), "pubkey": self.pubkey, **more})
        return {"body": body, "headers": {"X-MEN-Signature": self.sign(body.encode())}}

    @staticmethod
    def pem(der):
        return f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n"

    @staticmethod
    def foreign(algorithm, *options):
        """A public key of a kind that a device may not have."""
        pem = openssl("genpkey", "-algorithm", algorithm, *(word for text in options for word in ("-pkeyopt", text)))
        return openssl("pkey", "-pubout", data=pem).decode()
