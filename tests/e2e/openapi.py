# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml as something that replies can be held against, and that knows which of it was met."""
import json
import os
import re

import jsonschema
import yaml

FILE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "openapi.yaml")
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
# of every HTTP message, and so of no operation
FRAMING = {"connection", "content-length", "content-type", "date", "keep-alive", "transfer-encoding"}

formats = jsonschema.FormatChecker()


@formats.checks("date-time")
def is_wire_time(value):
    """In UTC, with at most three digits behind the second, none of them a trailing zero."""
    return not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,2}[1-9])?Z", value)


def resolve(node, root):
    """A copy of node with what each $ref points at in its place."""
    if isinstance(node, list):
        return [resolve(item, root) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = root
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        return resolve(target, root)
    return {name: resolve(value, root) for name, value in node.items()}


def validate(value, schema):
    jsonschema.Draft202012Validator(schema, format_checker=formats).validate(value)


class Operation:
    def __init__(self, method, path, item, root):
        self.method, self.path = method.upper(), path
        self.replies = item[method]["responses"]
        self.is_internal = "servers" in item
        self.security = item[method].get("security", root["security"])
        self.parameters = item.get("parameters", []) + item[method].get("parameters", [])
        self.body = item[method].get("requestBody")


def error_texts(reply):
    """The texts that its examples have."""
    examples = reply.get("content", {}).get("application/json", {}).get("examples", {})
    return {e["value"]["error"] for e in examples.values() if isinstance(e["value"], dict) and "error" in e["value"]}


class Description:
    def __init__(self):
        with open(FILE, encoding="utf-8") as file:
            root = yaml.safe_load(file)
        root = resolve(root, root)
        self.any_path = root["x-any-path"]
        self.operations = {item[method]["operationId"]: Operation(method, path, item, root)
                           for path, item in root["paths"].items() for method in METHODS & set(item)}
        self.met = set()    # (operationId, status)
        self.texts = set()  # (status, error text)

    def check(self, name, reply):
        """Raise AssertionError or ValidationError when the operation called name cannot have given this reply."""
        described = self.operations[name].replies
        assert str(reply.status) in described, f"{name}: {reply.status} is not described: {reply.text}"
        self.check_reply(reply, described[str(reply.status)])
        self.met.add((name, reply.status))

    def check_reply(self, reply, described):
        self._check_headers(reply, described.get("headers", {}))
        content = described.get("content")
        kind = reply.headers.get_content_type() if "Content-Type" in reply.headers else None
        if content is None or (kind is None and not reply.body):
            assert content is None or described.get("x-may-be-empty"), f"{reply.status} without a body"
            assert kind is None and reply.body == b"", f"{reply.status} with {kind}: {reply.text}"
            return
        assert kind in content, f"{reply.status} with {kind}"
        validate(reply.json() if kind == "application/json" else reply.text, content[kind].get("schema", {}))
        if reply.status >= 400 and "error" in reply.json():
            text = reply.json()["error"]
            assert text in error_texts(described), f"no example of {reply.status} is {json.dumps(text)}"
            self.texts.add((reply.status, text))

    @staticmethod
    def _check_headers(reply, described):
        names = {name.lower() for name in described}
        for name in reply.headers:
            assert name.lower() in names | FRAMING, f"{reply.status}: {name} is not described"
        for name, header in described.items():
            values = reply.headers.get_all(name, [])
            assert values or not header.get("required"), f"{reply.status} without {name}"
            for value in values:
                validate(int(value) if header["schema"].get("type") == "integer" else value, header["schema"])

    def unmet(self):
        """The replies that are described, and that no check has seen: (operationId, status)."""
        return {(name, int(status)) for name, op in self.operations.items() for status in op.replies} - self.met

    def unmet_texts(self):
        return {(int(status), text) for op in self.operations.values() for status, reply in op.replies.items()
                for text in error_texts(reply)} - self.texts
