"""The protocol's messages: the shared fixtures, and everything that must be refused."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from dumont_worker.errors import WorkerError
from dumont_worker.protocol import (
    LINE_LIMIT,
    Cancel,
    CreateRequest,
    Heartbeat,
    RateRequest,
    RepairRequest,
    Reply,
    RestoreRequest,
    TranscodeRequest,
    VerifyRequest,
    encode,
    object_seal,
    parse,
    request_id,
)

FIXTURES = Path(__file__).parents[2] / "test" / "fixtures" / "protocol"


def lines(name: str) -> list[bytes]:
    return (FIXTURES / f"{name}.jsonl").read_bytes().splitlines()


def example(type_: str) -> dict[str, Any]:
    for line in lines("operator-to-worker"):
        value: dict[str, Any] = json.loads(line)
        if value["type"] == type_:
            return value
    raise AssertionError(type_)


def told(value: object) -> str:
    with pytest.raises(WorkerError) as failure:
        parse(json.dumps(value).encode())
    assert failure.value.code == "WORKER"
    return failure.value.message


def test_every_message_of_the_operator_is_understood() -> None:
    kinds = {type(parse(line)) for line in lines("operator-to-worker")}
    assert kinds == {
        CreateRequest,
        RestoreRequest,
        TranscodeRequest,
        VerifyRequest,
        RateRequest,
        RepairRequest,
        Reply,
        Cancel,
        Heartbeat,
    }


def test_messages_of_the_worker_are_written_as_in_the_fixtures() -> None:
    for line in lines("worker-to-operator"):
        value = json.loads(line)
        assert encode(value.pop("type"), **value) == line + b"\n"


def test_a_create_says_what_its_line_says() -> None:
    request = parse(lines("operator-to-worker")[0])
    assert isinstance(request, CreateRequest)
    assert request.roots == (b"/workspace", b"/workspace/bad\xffname")
    assert request.excludes == (b"*.tmp", b"!keep.tmp")
    assert request.parent is not None
    assert request.parent.roots == (b"/workspace",)
    assert request.parent.segments[0].length == 5103


def sealed(type_: str) -> dict[str, Any]:
    values = (json.loads(line) for line in lines("operator-to-worker"))
    return next(value for value in values if value["type"] == type_ and value.get("seal"))


@pytest.mark.parametrize("type_", ["create", "transcode"])
def test_a_sealed_run_is_told_its_secret_which_no_text_of_it_shows(type_: str) -> None:
    value = sealed(type_)
    request = parse(json.dumps(value).encode())
    assert isinstance(request, (CreateRequest, TranscodeRequest))
    assert request.seal is not None
    assert (len(request.seal.header), len(request.seal.secret)) == (64, 32)
    assert repr(request.seal.secret) not in repr(request)


@pytest.mark.parametrize("type_", ["create", "transcode"])
@pytest.mark.parametrize(
    "seal",
    [
        7,
        {},
        {"header": "", "secret": ""},
        {"header": base64.b64encode(bytes(64)).decode()},
        {"secret": base64.b64encode(bytes(31)).decode()},
        {"secret": base64.b64encode(bytes(33)).decode()},
        {"secret": 7},
        {"secret": "?"},
    ],
)
def test_a_malformed_seal_is_refused_without_being_shown(type_: str, seal: Any) -> None:
    value = sealed(type_)
    whole = {**value["seal"], **seal} if seal and seal != 7 else seal
    message = told(value | {"seal": whole})
    assert "seal" in message
    assert value["seal"]["secret"] not in message


def test_a_seal_of_another_repository_is_refused() -> None:
    assert "another repository" in told(sealed("create") | {"repository": "0" * 32})


def test_what_opens_an_object_comes_with_its_url() -> None:
    value = next(
        json.loads(line)
        for line in lines("operator-to-worker")
        if b'"urls"' in line and b'"seal"' in line
    )
    found = object_seal(value["urls"][0])
    assert found is not None
    assert (len(found.header), len(found.secret)) == (128, 32)
    assert object_seal({"key": "x", "url": "y"}) is None
    with pytest.raises(WorkerError) as failure:
        object_seal({"seal": {"header": base64.b64encode(found.header[:64]).decode()}})
    assert failure.value.code == "WORKER"


def test_unknown_keys_are_ignored() -> None:
    assert parse(json.dumps(example("create") | {"later": 1}).encode())


@pytest.mark.parametrize("missing", sorted(set(example("create")) - {"type", "parent"}))
def test_a_create_without_a_field_is_refused(missing: str) -> None:
    value = example("create")
    del value[missing]
    assert missing in told(value)


@pytest.mark.parametrize("missing", sorted(set(example("restore")) - {"type", "target"}))
def test_a_restore_without_a_field_is_refused(missing: str) -> None:
    value = example("restore")
    del value[missing]
    assert missing in told(value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("parts", 0),
        ("parts", True),
        ("parts", 1.5),
        ("memory", "1GiB"),
        ("roots", []),
        ("roots", ["relative"]),
        ("roots", ["/a\0b"]),
        ("roots", [{"b64": "!"}]),
        ("roots", [7]),
        ("snapshot", "../../etc"),
        ("repository", "XYZ"),
        ("codec", "zip"),
        ("pin", "sha256"),
        ("dryRun", 0),
        ("protect", "/a"),
        ("parent", {"id": "x"}),
        ("parent", [1]),
        ("id", None),
        ("id", 1.5),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    assert field in told(example("create") | {field: value})


@pytest.mark.parametrize("key", ["../x", "/abs", "a//b", "", "a/..", 7, "a\nb"])
def test_keys_that_could_lead_elsewhere_are_refused(key: object) -> None:
    value = example("create")
    value["parent"]["unusable"] = [key]
    assert "no key" in told(value)


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"null", b'{"type":1}', b'{"type":"destroy"}', b"[" * 100_000]
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(WorkerError):
        parse(line)


def test_a_refused_request_can_still_be_addressed() -> None:
    assert request_id(b'{"type":"create","id":7}') == 7
    assert request_id(b'{"type":"create"}') is None
    assert request_id(b"{") is None
    assert request_id(b'{"id":true}') is None


def test_a_message_over_the_limit_is_not_sent() -> None:
    with pytest.raises(WorkerError):
        encode("result", notes="x" * LINE_LIMIT)
