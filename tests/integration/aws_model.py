"""AWS's service models, and whether a request or an answer has the shape that they say.

Findings are texts: where in the document, and what is wrong there. Models lie in ../shared/aws-models.
"""
import json
import re
import urllib.parse
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# What may come back from any operation: "Common Errors" of each API's reference, and what a full disk is called here.
COMMON_ERRORS = {
    "AccessDeniedException", "ExpiredTokenException", "IncompleteSignature", "InternalFailure", "InvalidSignatureException",
    "MissingAuthenticationToken", "RequestExpired", "ServiceUnavailable", "SignatureDoesNotMatch", "ThrottlingException",
    "UnrecognizedClientException", "ValidationError", "ValidationException", "InvalidClientTokenId", "InsufficientStorage",
    "SerializationException", "MissingParameter",
}


class Model:
    def __init__(self, folder):
        model = json.loads((Path(folder) / "service-2.json").read_text())
        self.metadata, self.operations, self.shapes = model["metadata"], model["operations"], model["shapes"]
        self.query = self.metadata["protocol"] == "query"
        self.signing_name = self.metadata.get("signingName", self.metadata["endpointPrefix"])

    # ---- requests

    def check_request(self, operation, body):
        """Findings about the body of a request, as text from the wire."""
        row = self.operations.get(operation)
        if row is None:
            return [f"{operation}: no such operation"]
        shape = row.get("input", {}).get("shape")
        if self.query:
            fields = dict(urllib.parse.parse_qsl(body, keep_blank_values=True, strict_parsing=True))
            found = []
            if fields.pop("Version", None) != self.metadata["apiVersion"]:
                found.append(f"{operation}: Version is not {self.metadata['apiVersion']}")
            fields.pop("Action")
            return found + self.walk_query(shape, fields, operation)
        return self.walk(shape, json.loads(body), operation)

    def walk_query(self, name, fields, where):
        """fields: what comes below this place, by the rest of its name."""
        shape = self.shapes[name]
        kind = shape["type"]
        if kind not in ("structure", "list", "map"):
            return [f"{where}: has members {list(fields)}"] if list(fields) != [""] else self.check_text(shape, fields[""], where)
        groups = {}
        for key, value in fields.items():
            head, _, rest = key.partition(".")
            groups.setdefault(head, {})[rest] = value
        found = []
        if kind == "list":
            if set(groups) - {"member"}:
                return [f"{where}: a list has {sorted(groups)}"]
            items = {}
            for key, value in groups.get("member", {}).items():
                head, _, rest = key.partition(".")
                items.setdefault(head, {})[rest] = value
            if sorted(items, key=int) != [str(i + 1) for i in range(len(items))]:
                found.append(f"{where}: its numbers are {sorted(items)}")
            for number, below in items.items():
                found += self.walk_query(shape["member"]["shape"], below, f"{where}[{number}]")
            return found
        for member, below in groups.items():
            if member not in shape["members"]:
                found.append(f"{where}.{member}: no such member")
                continue
            found += self.walk_query(shape["members"][member]["shape"], below, f"{where}.{member}")
        return found + [f"{where}.{m}: is required" for m in shape.get("required", []) if m not in groups]

    # ---- answers

    def check_answer(self, operation, status, body):
        row = self.operations.get(operation)
        if row is None:
            return [f"{operation}: no such operation"]
        if status >= 300:
            return self.check_refusal(operation, row, body)
        output = row.get("output", {}).get("shape")
        if not self.query:
            value = json.loads(body) if body.strip() else {}
            return self.walk(output, value, operation, answer=True) if output else ([f"{operation}: has a body"] if value else [])
        root = ElementTree.fromstring(body)
        space = f"{{{self.metadata['xmlNamespace']}}}"
        if root.tag != f"{space}{operation}Response":
            return [f"{operation}: the root is {root.tag}"]
        found = []
        if not root.findtext(f"{space}ResponseMetadata/{space}RequestId"):
            found.append(f"{operation}: no RequestId")
        wrapper = row.get("output", {}).get("resultWrapper")
        result = root.find(f"{space}{wrapper}") if wrapper else None
        if result is None:
            return found + ([f"{operation}: no {wrapper}"] if wrapper and self.shapes[output]["members"] else [])
        return found + self.walk_xml(output, result, operation, space)

    def check_refusal(self, operation, row, body):
        if self.query:
            code = ElementTree.fromstring(body).findtext(".//{*}Code")
        else:
            code = json.loads(body).get("__type", "").rsplit("#", 1)[-1]
        known = {self.shapes[e["shape"]].get("error", {}).get("code", e["shape"]) for e in row.get("errors", [])}
        return [] if code in known | COMMON_ERRORS else [f"{operation}: the error {code} is not one of its own: {sorted(known)}"]

    def walk_xml(self, name, element, where, space):
        shape = self.shapes[name]
        kind, below = shape["type"], [(child.tag.removeprefix(space), child) for child in element]
        if kind == "list":
            item = shape["member"].get("locationName", "member")
            found = [f"{where}: a list has {tag}" for tag, _ in below if tag != item]
            for number, (_, child) in enumerate(below):
                found += self.walk_xml(shape["member"]["shape"], child, f"{where}[{number}]", space)
            return found
        if kind != "structure":
            return [f"{where}: has members"] if below else self.check_text(shape, element.text or "", where)
        found = []
        for tag, child in below:
            if tag not in shape["members"]:
                found.append(f"{where}.{tag}: no such member")
            else:
                found += self.walk_xml(shape["members"][tag]["shape"], child, f"{where}.{tag}", space)
        return found

    # ---- JSON, both ways

    KINDS = {"string": str, "boolean": bool, "list": list, "structure": dict, "map": dict, "blob": str}

    def walk(self, name, value, where, answer=False):
        shape = self.shapes[name]
        kind = shape["type"]
        if kind in ("integer", "long"):
            if not isinstance(value, int) or isinstance(value, bool):
                return [f"{where}: {value!r} is no whole number"]
            return self.check_bounds(shape, value, where)
        if kind in ("float", "double", "timestamp"):
            right = isinstance(value, (int, float)) and not isinstance(value, bool)
            return [] if right else [f"{where}: {value!r} is no number"]
        if not isinstance(value, self.KINDS[kind]):
            return [f"{where}: {value!r} is no {kind}"]
        if kind == "string":
            return self.check_text(shape, value, where)
        if kind == "list":
            found = self.check_bounds(shape, len(value), where)
            for number, item in enumerate(value):
                found += self.walk(shape["member"]["shape"], item, f"{where}[{number}]", answer)
            return found
        if kind == "map":
            found = []
            for key, item in value.items():
                found += self.walk(shape["value"]["shape"], item, f"{where}[{key}]", answer)
            return found
        if kind == "structure":
            found = []
            for key, item in value.items():
                if key not in shape["members"]:
                    found.append(f"{where}.{key}: no such member")
                else:
                    found += self.walk(shape["members"][key]["shape"], item, f"{where}.{key}", answer)
            return found + [f"{where}.{m}: is required" for m in shape.get("required", []) if m not in value]
        return []

    @staticmethod
    def check_bounds(shape, size, where):
        if size < shape.get("min", size) or size > shape.get("max", size):
            return [f"{where}: {size} is not from {shape.get('min')} to {shape.get('max')}"]
        return []

    def check_text(self, shape, text, where):
        """A scalar as text: of XML, of a form, or a JSON string."""
        kind = shape["type"]
        patterns = {"integer": r"-?\d+", "long": r"-?\d+", "boolean": r"true|false", "double": r"-?\d+(\.\d+)?",
                    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"}
        if kind in patterns:
            return [] if re.fullmatch(patterns[kind], text) else [f"{where}: {text!r} is no {kind}"]
        if "enum" in shape and text not in shape["enum"]:
            return [f"{where}: {text!r} is none of {shape['enum']}"]
        return self.check_bounds(shape, len(text), where) if kind == "string" else []
